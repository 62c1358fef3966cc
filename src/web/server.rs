//! The listener: accepts within the limit, hands connections on, drains at the end.
//!
//! Beyond `max_connections` nothing is accepted until a connection ends: newcomers wait in the
//! kernel's queue instead of being turned away.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::carry;
use super::connection_h2::carry_streams;
use super::id::Ids;
use super::tls::{Spoken, Tls};
use super::{Router, TrustedProxies};
use crate::base::Clock;

/// How long to leave the listener alone after it failed, for instance out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What one server carries at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest request body, bytes.
    pub max_body_bytes: usize,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// How long things may take.
    pub deadlines: Deadlines,
}

/// How long things may take. The default is the contract's.
#[derive(Clone, Debug)]
pub struct Deadlines {
    /// From the connection's start to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a head, or from the connection's start, to the head's end.
    pub head: Duration,
    /// From asking for the body to its end.
    pub body: Duration,
    /// From an answer to the first byte of the next request; the answer is written in this time.
    pub idle: Duration,
    /// From the order to stop to the end of what is in flight.
    pub drain: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(10),
        }
    }
}

/// A bound listener that does not serve yet.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    limits: Limits,
    proxies: TrustedProxies,
    clock: Clock,
    tls: Option<Tls>,
}

/// What all connections of one server share.
pub(super) struct Site<S> {
    pub(super) router: Router<S>,
    pub(super) state: Arc<S>,
    pub(super) limits: Limits,
    pub(super) proxies: TrustedProxies,
    pub(super) clock: Clock,
    pub(super) tls: Option<Tls>,
    pub(super) ids: Ids,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Server {
    /// Takes the address; port 0 takes a free one.
    ///
    /// # Errors
    /// What the system says, such as an address in use.
    pub async fn bind(
        listen: SocketAddr,
        limits: Limits,
        proxies: TrustedProxies,
        clock: Clock,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        Ok(Self {
            local_addr: listener.local_addr()?,
            listener,
            limits,
            proxies,
            clock,
            tls: None,
        })
    }

    /// The same, speaking TLS only.
    #[must_use]
    pub fn secured_by(self, tls: Tls) -> Self {
        let tls = Some(tls);
        Self { tls, ..self }
    }

    /// `https`, or `http` without TLS.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The address that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` ends, then finishes what is in flight within the drain deadline.
    ///
    /// Gives back how many connections and handlers were left unfinished.
    pub async fn serve<S: Send + Sync + 'static>(
        self,
        router: Router<S>,
        state: Arc<S>,
        shutdown: impl Future<Output = ()>,
    ) -> usize {
        let drain = self.limits.deadlines.drain;
        let seats = Arc::new(Semaphore::new(self.limits.max_connections));
        let site = Arc::new(Site {
            router,
            state,
            limits: self.limits,
            proxies: self.proxies,
            clock: self.clock,
            tls: self.tls,
            ids: Ids::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let accepting = accept_all(self.listener, Arc::clone(&site), seats);
        match select(pin!(shutdown), pin!(accepting)).await {
            Either::Left(((), _)) => {}
            Either::Right((never, _)) => match never {},
        }
        site.stop.cancel();
        site.tasks.close();
        // A timeout is told by what is left.
        let _ = tokio::time::timeout(drain, site.tasks.wait()).await;
        site.tasks.len()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.local_addr)
    }
}

async fn accept_all<S: Send + Sync + 'static>(
    listener: TcpListener,
    site: Arc<Site<S>>,
    seats: Arc<Semaphore>,
) -> std::convert::Infallible {
    loop {
        let seat = Arc::clone(&seats).acquire_owned().await;
        let seat = seat.expect("the seats are never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let seated = seated(Arc::clone(&site), stream, peer, seat);
                site.tasks.spawn(seated);
            }
            Err(error) => {
                tracing::warn!(%error, "接受连接失败, 稍后再试");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn seated<S: Send + Sync + 'static>(
    site: Arc<Site<S>>,
    stream: TcpStream,
    peer: SocketAddr,
    seat: OwnedSemaphorePermit,
) {
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    match &site.tls {
        None => carry(&site, stream, peer.ip()).await,
        Some(tls) => secured(&site, tls, stream, peer).await,
    }
    drop(seat);
}

/// Agrees on TLS within its deadline, and carries what was agreed on.
async fn secured<S: Send + Sync + 'static>(
    site: &Arc<Site<S>>,
    tls: &Tls,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let agreed = tokio::time::timeout(site.limits.deadlines.handshake, tls.agree(stream));
    let agreed = tokio::select! {
        agreed = agreed => agreed,
        () = site.stop.cancelled() => return,
    };
    match agreed {
        Ok(Ok(Spoken::Http1(stream))) => carry(site, stream, peer.ip()).await,
        Ok(Ok(Spoken::Http2(stream))) => carry_streams(site, stream, peer.ip()).await,
        Ok(Ok(Spoken::Shown(mut stream))) => {
            // The authority has what it wanted, however it goes away.
            let _ = stream.shutdown().await;
        }
        Ok(Err(why)) => tracing::trace!(%peer, %why, "TLS 握手没有成功"),
        Err(_) => tracing::trace!(%peer, "TLS 握手没有在期限内完成"),
    }
}
