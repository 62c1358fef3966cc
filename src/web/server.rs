//! The listener: accepts within the limit, hands connections on, drains at the end.
//!
//! Beyond `max_connections` an idle one gives way. When none is idle nothing is accepted until one
//! ends: newcomers wait in the kernel's queue instead of being turned away.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Peer;
use super::connection::carry;
use super::connection_h2::carry_streams;
use super::gate::Gate;
use super::id::Ids;
use super::metrics::{HttpMetrics, RowMetrics};
use super::seats::{Seated, Seats, Share};
use super::tls::{Spoken, Tls};
use super::{Limits, Router, TrustedProxies};
use crate::base::metrics::Present;
use crate::base::{Clock, Household};

/// A bound listener that does not serve yet.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    limits: Limits,
    proxies: TrustedProxies,
    clock: Clock,
    tls: Option<Tls>,
    metrics: HttpMetrics,
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
    pub(super) gate: Arc<Gate>,
    pub(super) seats: Arc<Seats>,
    pub(super) metrics: HttpMetrics,
    /// Of requests that no row answers.
    pub(super) astray: RowMetrics,
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
            metrics: HttpMetrics::default(),
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

    /// The same server, whose requests and connections are counted in `metrics`.
    #[must_use]
    pub fn counted(self, metrics: HttpMetrics) -> Self {
        Self { metrics, ..self }
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
        mut router: Router<S>,
        state: Arc<S>,
        shutdown: impl Future<Output = ()>,
    ) -> usize {
        let drain = self.limits.deadlines.drain;
        let most_per_address = self.limits.per_address.connections;
        router.count_in(&self.metrics);
        let site = Arc::new(Site {
            router,
            state,
            gate: Gate::new(&self.limits.per_address),
            seats: Seats::new(self.limits.max_connections, most_per_address),
            limits: self.limits,
            proxies: self.proxies,
            clock: self.clock,
            tls: self.tls,
            ids: Ids::new(),
            astray: self.metrics.astray(),
            metrics: self.metrics,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let accepting = accept_all(self.listener, Arc::clone(&site));
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
) -> std::convert::Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let peer = peer.ip();
                let share = match site.proxies.trusts(peer.to_canonical()) {
                    true => Share::Whole,
                    false => Share::Fair,
                };
                let seat = site.seats.take(Household::of(peer), share).await;
                // Without one the newcomer is hung up on: its address has enough.
                if let Some(seat) = seat {
                    let seated = seated(Arc::clone(&site), stream, peer, seat);
                    site.tasks.spawn(seated);
                }
            }
            Err(error) => {
                // Out of descriptors, most likely: idle connections hold some.
                let closed = site.seats.shrink();
                tracing::warn!(%error, closed, "接受连接失败，已关闭一些空闲连接，稍后再试");
                site.seats.freed().await;
            }
        }
    }
}

/// Carries one connection until it ends, or its seat is given to another.
async fn seated<S: Send + Sync + 'static>(
    site: Arc<Site<S>>,
    stream: TcpStream,
    peer: IpAddr,
    seat: Seated,
) {
    let _open = Present::among(&site.metrics.connections);
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    let carrying = carried(&site, stream, Peer::new(peer, seat.seat()));
    select(pin!(carrying), pin!(seat.closed())).await;
}

async fn carried<S: Send + Sync + 'static>(site: &Arc<Site<S>>, stream: TcpStream, peer: Peer) {
    match &site.tls {
        None => carry(site, stream, &peer).await,
        Some(tls) => secured(site, tls, stream, peer.over_tls()).await,
    }
}

/// Agrees on TLS within its deadline, and carries what was agreed on.
async fn secured<S: Send + Sync + 'static>(
    site: &Arc<Site<S>>,
    tls: &Tls,
    stream: TcpStream,
    peer: Peer,
) {
    let agreed = tokio::time::timeout(site.limits.deadlines.handshake, tls.agree(stream));
    let agreed = tokio::select! {
        agreed = agreed => agreed,
        () = site.stop.cancelled() => return,
    };
    match agreed {
        Ok(Ok(Spoken::Http1(stream))) => carry(site, stream, &peer).await,
        Ok(Ok(Spoken::Http2(stream))) => carry_streams(site, stream, peer).await,
        Ok(Ok(Spoken::Shown(mut stream))) => {
            // The authority has what it wanted, however it goes away.
            let _ = stream.shutdown().await;
        }
        Ok(Err(why)) => tracing::trace!(peer = peer.text(), %why, "TLS 握手没有成功"),
        Err(_) => tracing::trace!(peer = peer.text(), "TLS 握手没有在期限内完成"),
    }
}
