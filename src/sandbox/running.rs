//! The simulator as a running server, for the `sandbox` command and inside `demo`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Credentials, Sandbox, routes};
use crate::base::Clock;
use crate::base::rsa::BadKey;
use crate::web::{Client, ClientError, Limits, Router, Server, TrustedProxies};

/// How often due notifies are looked for.
const TICK: Duration = Duration::from_millis(100);
/// Larger than any document WeChat reads.
const MAX_BODY_BYTES: usize = 256 * 1024;
const MAX_CONNECTIONS: usize = 10_000;

/// Why the simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be taken.
    #[error("模拟器无法监听 (cannot listen on) {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// A key of the credentials is not one.
    #[error("模拟器的密钥无效 (bad key): {0}")]
    Key(#[from] BadKey),
    /// The client for notifies cannot be made.
    #[error("模拟器无法建立 HTTP 客户端 (no HTTP client): {0}")]
    Client(#[from] ClientError),
}

/// A simulator that serves until it is stopped.
pub struct Running {
    sandbox: Arc<Sandbox>,
    url: String,
    serving: JoinHandle<usize>,
    ticking: JoinHandle<()>,
}

impl Running {
    /// Where it serves, such as `http://127.0.0.1:9090`, without a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The simulator itself.
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// Stops accepting, finishes what is in flight, ends.
    pub async fn stop(self) {
        self.sandbox.stopping.send_replace(true);
        // A task that panicked was reported when it did; there is nothing left to finish.
        let _ = tokio::join!(self.serving, self.ticking);
    }
}

/// Starts a simulator. `clock` is moved by `PUT /sandbox/clock`, its clones with it.
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// [`StartError`]: the address is taken, a key is bad, or there is no HTTP client.
pub async fn start(
    listen: SocketAddr,
    clock: Clock,
    credentials: Credentials,
) -> Result<Running, StartError> {
    let sandbox = Arc::new(Sandbox::new(clock.clone(), credentials, Client::new()?)?);
    let limits = Limits {
        max_body_bytes: MAX_BODY_BYTES,
        max_connections: MAX_CONNECTIONS,
        ..Limits::default()
    };
    let server = Server::bind(listen, limits, TrustedProxies::default(), clock)
        .await
        .map_err(|error| StartError::Bind(listen, error))?;
    let url = reachable_url(server.local_addr());
    // The only writer: this simulator was made above.
    let _ = sandbox.url.set(url.clone());
    let mut stopping = sandbox.stopping.subscribe();
    let shutdown = async move {
        // An error means that the simulator is gone, which is a stop too.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let serving = server.serve(Router::new(routes()), Arc::clone(&sandbox), shutdown);
    Ok(Running {
        serving: tokio::spawn(serving),
        ticking: tokio::spawn(tick_until_stopped(Arc::clone(&sandbox))),
        sandbox,
        url,
    })
}

/// A server that listens everywhere is reached on loopback.
fn reachable_url(mut addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{addr}")
}

async fn tick_until_stopped(sandbox: Arc<Sandbox>) {
    let mut stopping = sandbox.stopping.subscribe();
    while tokio::time::timeout(TICK, stopping.wait_for(|stopping| *stopping))
        .await
        .is_err()
    {
        sandbox.tick().await;
        sandbox.grant_receipts();
        sandbox.send_pushes().await;
    }
}
