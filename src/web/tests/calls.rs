//! The client against peers that answer, break off, or are not there.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};

use super::super::*;
use super::{LIMIT, SHORT, limits, start};

fn get(url: String) -> Outgoing {
    Outgoing {
        method: Method::GET,
        url,
        headers: vec![
            ("X-Tag", "red".to_owned()),
            ("authorization", "Bearer k".to_owned()),
        ],
        body: Vec::new(),
    }
}

/// A listener that answers one connection with `words`, then closes it.
async fn says(words: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/pay?key=hush", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(words.as_bytes()).await;
    });
    url
}

#[tokio::test]
async fn a_call_brings_its_headers_and_body_and_reads_the_answer() {
    let server = start(limits()).await;
    let client = Client::new().unwrap();
    let call = get(format!("http://{}/goods/7?q=1", server.addr));
    let answer = client.send(call, LIMIT, 1000).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    let seen: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&seen["tag"], &seen["bearer"]),
        (&"red".into(), &"k".into())
    );
    let post = Outgoing {
        method: Method::POST,
        url: format!("http://{}/goods", server.addr),
        headers: Vec::new(),
        body: br#"{"title":"tea"}"#.to_vec(),
    };
    assert_eq!(client.send(post, LIMIT, 1000).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let words = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let call = get(says(words).await);
    let answer = Client::new().unwrap().send(call, LIMIT, 1000).await;
    assert_eq!(answer.unwrap().status, 302);
}

#[tokio::test]
async fn what_keeps_an_answer_away_is_told_apart_without_the_query() {
    // Bound but never listening: nobody else gets the port, and every connection is refused.
    let unheard = TcpSocket::new_v4().unwrap();
    unheard.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = unheard.local_addr().unwrap();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = (mute.local_addr().unwrap(), mute);
    let cases = [
        (format!("http://{nobody}/pay?key=hush"), "NotSent"),
        ("http:///pay?key=hush".to_owned(), "NotSent"),
        (format!("https://{nobody}/pay?key=hush"), "NotSent"),
        (format!("http://{}/pay?key=hush", mute.0), "Timeout"),
        (says("").await, "Broken"),
        (
            says("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour").await,
            "Broken",
        ),
        (says("no http\r\n\r\n").await, "Broken"),
        (
            says("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nninebytes").await,
            "TooLarge",
        ),
    ];
    let client = Client::new().unwrap();
    for (url, kind) in cases {
        let deadline = if kind == "Timeout" { SHORT } else { LIMIT };
        let sent = client.send(get(url.clone()), deadline, 8).await;
        let error = sent.unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(shown.starts_with(kind), "{url}: {shown}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}
