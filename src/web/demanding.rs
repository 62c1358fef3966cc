//! A TLS peer of the tests: it demands a client's certificate and hears what that client says.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) const CERT: &str = include_str!("../../tests/golden/tls/localhost.pem");
pub(crate) const KEY: &str = include_str!("../../tests/golden/tls/localhost_key.pem");

/// A listening peer that gives one answer to each connection which shows [`CERT`].
pub(crate) struct Demanding {
    /// `https://127.0.0.1:…`
    pub(crate) base: String,
    heard: Arc<Mutex<Vec<String>>>,
}

/// Trust in the test's certificate alone, which is both the peer's and the client's.
pub(crate) fn roots() -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    let cert = CertificateDer::from_pem_slice(CERT.as_bytes()).expect("a certificate");
    roots.add(cert).expect("a root");
    roots
}

impl Demanding {
    pub(crate) fn answering(answers: Vec<String>) -> Self {
        let config = Arc::new(demanding());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("https://{}", listener.local_addr().expect("bound"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut tls =
                    rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
                let mut stream = rustls::Stream::new(&mut tls, &mut stream);
                let Some(request) = read_request(&mut stream) else {
                    continue;
                };
                ears.lock().expect("no panic").push(request);
                _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                _ = stream.flush();
            }
        });
        Self { base, heard }
    }

    /// The requests of those that showed the certificate.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no panic").clone()
    }
}

fn demanding() -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let wanted = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots()),
        Arc::clone(&provider),
    );
    let chain = CertificateDer::pem_slice_iter(CERT.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_client_cert_verifier(wanted.build().expect("a verifier"))
        .with_single_cert(chain.expect("a chain"), key)
        .expect("a pair")
}

/// A whole request; `None` when the handshake failed.
fn read_request(stream: &mut impl Read) -> Option<String> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let lengths = head.lines().filter_map(|line| line.split_once(": "));
        let length = lengths
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .find_map(|(_, length)| length.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}
