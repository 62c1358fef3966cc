//! TLS for tests: an authority, its certificates, clients that trust it, and relays that turn the
//! plain HTTP/1.1 of the other tests into TLS or HTTP/2.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tokio::runtime::Runtime;

/// The name that the tests' shop has.
pub(crate) const SHOP: &str = "shop.example.com";

/// An authority that only tests trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
    pub(crate) root_pem: String,
}

/// A chain and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of tests");
        let root = params.self_signed(&key).unwrap();
        Self {
            root_pem: root.pem(),
            root: root.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `names`, valid from `2020` to `until`.
    pub(crate) fn issues(&self, names: &[&str], years: std::ops::Range<i32>) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        let own = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            chain: own.pem() + &self.root_pem,
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority and offers `protocols` by ALPN.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        client(&self.root, versions, protocols)
    }
}

/// A client that trusts `root` and offers `protocols` by ALPN.
pub(crate) fn client(
    root: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}

impl Pair {
    /// Writes `cert.pem` and `key.pem` to `dir`, both by a rename.
    pub(crate) fn write(&self, dir: &Path) -> (PathBuf, PathBuf) {
        let write = |name: &str, text: &str| {
            let (new, path) = (dir.join(format!("{name}.new")), dir.join(name));
            fs::write(&new, text).unwrap();
            fs::rename(&new, &path).unwrap();
            path
        };
        (write("cert.pem", &self.chain), write("key.pem", &self.key))
    }
}

/// One TLS connection to the shop.
pub(crate) type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Connects and shakes hands.
pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Secured> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(40)))?;
    let name = ServerName::try_from(SHOP).unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut secured = StreamOwned::new(client, stream);
    while secured.conn.is_handshaking() {
        secured.conn.complete_io(&mut secured.sock)?;
    }
    Ok(secured)
}

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Where plain HTTP/1.1 becomes HTTP/1.1 over TLS to `shop`.
pub(crate) fn over_tls(config: &Arc<ClientConfig>, shop: SocketAddr) -> SocketAddr {
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    runtime().spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((mut plain, _)) = listener.accept().await {
            let connector = connector.clone();
            tokio::spawn(async move {
                let stream = tokio::net::TcpStream::connect(shop).await?;
                let name = ServerName::try_from(SHOP).unwrap();
                let mut secured = connector.connect(name, stream).await?;
                tokio::io::copy_bidirectional(&mut plain, &mut secured).await
            });
        }
    });
    address
}

/// Where plain HTTP/1.1 becomes HTTP/2 to `shop`, all of it on one connection.
pub(crate) fn over_http_2(config: &Arc<ClientConfig>, shop: SocketAddr) -> SocketAddr {
    let client = reqwest::Client::builder()
        .use_preconfigured_tls(ClientConfig::clone(config))
        .resolve(SHOP, shop)
        .no_proxy()
        .build()
        .unwrap();
    let base = format!("https://{SHOP}:{}", shop.port());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    runtime().spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((plain, _)) = listener.accept().await {
            let (client, base) = (client.clone(), base.clone());
            let relay = service_fn(move |request| passed(client.clone(), base.clone(), request));
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(plain), relay);
            tokio::spawn(serving);
        }
    });
    address
}

async fn passed(
    client: reqwest::Client,
    base: String,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut headers = head.headers;
    headers.remove("host");
    let asked = client
        .request(head.method, format!("{base}{}", head.uri))
        .headers(headers)
        .body(body);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.version(), hyper::Version::HTTP_2);
    let mut response = hyper::Response::builder().status(answer.status());
    response
        .headers_mut()
        .unwrap()
        .extend(answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    Ok(response.body(Full::new(body)).unwrap())
}
