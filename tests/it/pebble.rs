//! Debian's ACME authority for tests, and the name server it asks. Both on loopback.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tempfile::TempDir;

use crate::secure::{Authority, runtime};
use crate::wait::within;

/// A running authority. It looks at the ports it was told of, on 127.0.0.1, for every name.
pub(crate) struct Pebble {
    dir: TempDir,
    pub(crate) directory: String,
    management: SocketAddr,
    /// Where it looks for TLS-ALPN-01.
    pub(crate) tls: SocketAddr,
    /// Where it looks for HTTP-01.
    pub(crate) http: SocketAddr,
    own: Authority,
    running: Vec<Child>,
}

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Pebble {
    /// Issues certificates that are valid for `validity_s`.
    pub(crate) fn start(validity_s: u64) -> Self {
        let mut pebble = Self::stopped(validity_s);
        pebble.run();
        pebble
    }

    /// The same, not yet running.
    pub(crate) fn stopped(validity_s: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = Authority::new();
        let pair = own.issues(&["127.0.0.1"], 2020..2090);
        let (cert, key) = pair.write(dir.path());
        let (listen, management) = (free_port(), free_port());
        let (tls, http) = (free_port(), free_port());
        let config = json!({ "pebble": {
            "listenAddress": listen,
            "managementListenAddress": management,
            "certificate": cert,
            "privateKey": key,
            "httpPort": http.port(),
            "tlsPort": tls.port(),
            "certificateValidityPeriod": validity_s,
        }});
        fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        fs::write(dir.path().join("root.pem"), &own.root_pem).unwrap();
        Self {
            dir,
            directory: format!("https://{listen}/dir"),
            management,
            tls,
            http,
            own,
            running: vec![],
        }
    }

    pub(crate) fn run(&mut self) {
        let names = free_port();
        let names_management = free_port();
        let mut server = Command::new("pebble-challtestsrv");
        server.args(["-dns01", &names.to_string()]);
        server.args(["-management", &names_management.to_string()]);
        server.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        server.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        self.spawn("names", &mut server);
        let mut authority = Command::new("pebble");
        authority.args(["-config", "config.json", "-dnsserver", &names.to_string()]);
        // It waits up to 15 s before it looks, and refuses one nonce in twenty: we want the latter.
        authority.env("PEBBLE_VA_NOSLEEP", "1");
        authority.env("PEBBLE_AUTHZREUSE", "0");
        self.spawn("pebble", &mut authority);
        within(Duration::from_secs(20), "pebble answers", || {
            self.fetch("/roots/0").is_some()
        });
    }

    fn spawn(&mut self, name: &str, command: &mut Command) {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.dir.path().join(format!("{name}.log")))
            .unwrap();
        let child = command
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let missing = "Debian's package `pebble` is needed: apt-get install pebble";
        self.running.push(child.expect(missing));
    }

    pub(crate) fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    fn fetch(&self, path: &str) -> Option<Vec<u8>> {
        let root = reqwest::Certificate::from_pem(self.own.root_pem.as_bytes()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        // Another test may have been first.
        let _ = provider.install_default();
        let client = reqwest::Client::builder().tls_certs_only([root]).no_proxy();
        let client = client.build().unwrap();
        let asked = client.get(format!("https://{}{path}", self.management));
        runtime().block_on(async { Some(asked.send().await.ok()?.bytes().await.ok()?.to_vec()) })
    }

    /// The root of the certificates it issues; another one each time it runs.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        let pem = self.fetch("/roots/0").unwrap();
        CertificateDer::from_pem_slice(&pem).unwrap()
    }

    /// The root by which it is trusted itself.
    pub(crate) fn own_root_file(&self) -> PathBuf {
        self.dir.path().join("root.pem")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("pebble.log")).unwrap_or_default()
    }

    /// How many certificates were asked for so far.
    pub(crate) fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the authority's log ---\n{}", self.log());
        }
        self.stop();
    }
}
