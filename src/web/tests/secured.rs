//! TLS and HTTP/2: peers that are too slow or idle, and what a stop does to them.

use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::*;
use super::{LIMIT, Running, SHORT, limits, start_with, within};
use crate::base::Secret;

const GOAWAY: u8 = 7;
/// The preface, no settings, and `GET /now`. Source: RFC 9113 · 3.4, RFC 7541 · 6.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const GET_NOW: &[u8] = b"\0\0\x0b\x01\x05\0\0\0\x01\x82\x87\x04\x04/now\x01\x01t";

async fn secured(limits: Limits) -> (Running, CertificateDer<'static>) {
    let own = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = Secret::new(own.signing_key.serialize_pem());
    let identity = Identity::from_pem(&own.cert.pem(), &key).unwrap();
    let tls = Tls::showing(&identity).unwrap();
    let running = start_with(limits, |server| server.secured_by(tls)).await;
    (running, own.cert.der().clone())
}

async fn peer(server: &Running, root: &CertificateDer<'static>) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    within(connecting).await.unwrap()
}

/// The kinds of all frames until the server closes; its pings stay without an answer.
async fn frames(peer: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut kinds = vec![];
    let all = async {
        let mut head = [0; 9];
        while peer.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            peer.read_exact(&mut payload).await.unwrap();
            kinds.push(head[3]);
        }
    };
    tokio::time::timeout(LIMIT * 3, all).await.unwrap();
    kinds
}

fn deadlines(change: fn(&mut Deadlines)) -> Limits {
    let mut limits = limits();
    change(&mut limits.deadlines);
    limits
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut() {
    let (server, _) = secured(deadlines(|d| d.handshake = SHORT)).await;
    let begun = std::time::Instant::now();
    for said in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(said).await.unwrap();
        let read = within(stream.read(&mut [0; 1])).await;
        assert_eq!(read.unwrap_or(0), 0);
    }
    assert!(begun.elapsed() >= SHORT * 3);
}

#[tokio::test]
async fn an_http_2_peer_that_asks_nothing_is_sent_away() {
    let (server, root) = secured(deadlines(|d| d.head = SHORT)).await;
    let mut peer = peer(&server, &root).await;
    peer.write_all(PREFACE).await.unwrap();
    assert!(frames(&mut peer).await.contains(&GOAWAY));
}

#[tokio::test]
async fn an_http_2_peer_that_was_answered_and_is_idle_is_sent_away() {
    let (server, root) = secured(deadlines(|d| d.idle = SHORT)).await;
    let mut peer = peer(&server, &root).await;
    peer.write_all(&[PREFACE, GET_NOW].concat()).await.unwrap();
    let begun = std::time::Instant::now();
    let frames = frames(&mut peer).await;
    let at = |kind| frames.iter().position(|seen| *seen == kind);
    // The head of the answer comes before the goodbye.
    assert!(at(1).is_some() && at(1) < at(GOAWAY), "{frames:?}");
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_stop_says_goodbye_to_http_2_and_is_not_held_up_by_a_peer_that_says_nothing() {
    let (mut server, root) = secured(limits()).await;
    let mut peer = peer(&server, &root).await;
    peer.write_all(&[PREFACE, GET_NOW].concat()).await.unwrap();
    let mut head = [0; 1];
    within(peer.read_exact(&mut head)).await.unwrap();
    let stalled = TcpStream::connect(server.addr).await.unwrap();
    server.stop();
    assert_eq!(within(server.served).await.unwrap(), 0, "left unfinished");
    drop(stalled);
}
