//! A client that shows its certificate, against a peer that demands one.

use super::*;
use crate::web::demanding::{CERT, Demanding, KEY, roots};

async fn ask(client: &Client, url: &str) -> Result<u16, ClientError> {
    let request = Outgoing {
        method: Method::POST,
        url: url.to_owned(),
        headers: vec![],
        body: b"x".to_vec(),
    };
    let answer = client.send(request, Duration::from_secs(5), 1024).await?;
    Ok(answer.status)
}

#[tokio::test]
async fn a_peer_that_demands_a_certificate_hears_only_the_client_that_shows_it() {
    let answer = "HTTP/1.1 204 X\r\nconnection: close\r\n\r\n".to_owned();
    let peer = Demanding::answering(vec![answer; 2]);
    let url = format!("{}/", peer.base);
    let plain = trusting(roots()).expect("TLS").with_no_client_auth();
    let plain = Client::over(plain).expect("a client");
    assert!(ask(&plain, &url).await.is_err());
    let tls = trusting(roots()).expect("TLS");
    let shown = Client::identified(tls, CERT, &Secret::from(KEY)).expect("a client");
    assert_eq!(ask(&shown, &url).await, Ok(204));
    assert_eq!(peer.heard().len(), 1);
}

#[test]
fn a_certificate_without_its_own_key_is_refused() {
    let other = crate::base::rsa::PrivateKey::generate().to_pem();
    for (chain, key) in [(CERT, other.as_str()), (CERT, "nothing"), ("nothing", KEY)] {
        assert!(Client::with_identity(chain, &Secret::from(key)).is_err());
    }
    assert!(Client::with_identity(CERT, &Secret::from(KEY)).is_ok());
}
