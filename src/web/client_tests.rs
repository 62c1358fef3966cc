//! A client that shows its certificate, against a peer that demands one.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

const CERT: &str = include_str!("../../tests/golden/tls/localhost.pem");
const KEY: &str = include_str!("../../tests/golden/tls/localhost_key.pem");

/// Trust in the test's certificate alone, which is both the peer's and the client's.
fn roots() -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    let cert = CertificateDer::from_pem_slice(CERT.as_bytes()).expect("a certificate");
    roots.add(cert).expect("a root");
    roots
}

/// A TLS peer that hears `times` connections and answers those that show the certificate.
fn demanding_peer(times: usize) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let wanted = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots()),
        Arc::clone(&provider),
    );
    let chain = CertificateDer::pem_slice_iter(CERT.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_client_cert_verifier(wanted.build().expect("a verifier"))
        .with_single_cert(chain.expect("a chain"), key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for _ in 0..times {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = rustls::Stream::new(&mut tls, &mut stream);
            let mut heard = [0; 4096];
            if stream.read(&mut heard).is_ok_and(|count| count > 0) {
                let answer = b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n";
                _ = stream.write_all(answer);
                stream.conn.send_close_notify();
                _ = stream.flush();
            }
        }
    });
    url
}

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
    let url = demanding_peer(2);
    let plain = trusting(roots()).expect("TLS").with_no_client_auth();
    let plain = Client::over(plain).expect("a client");
    assert!(ask(&plain, &url).await.is_err());
    let tls = trusting(roots()).expect("TLS");
    let shown = Client::identified(tls, CERT, &Secret::from(KEY)).expect("a client");
    assert_eq!(ask(&shown, &url).await, Ok(204));
}

#[test]
fn a_certificate_without_its_own_key_is_refused() {
    let other = crate::base::rsa::PrivateKey::generate().to_pem();
    for (chain, key) in [(CERT, other.as_str()), (CERT, "nothing"), ("nothing", KEY)] {
        assert!(Client::with_identity(chain, &Secret::from(key)).is_err());
    }
    assert!(Client::with_identity(CERT, &Secret::from(KEY)).is_ok());
}
