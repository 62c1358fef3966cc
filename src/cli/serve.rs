//! The wiring: from a configuration to a shop that serves, and back down in order.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::args::Serve;
use super::certificates::Secured;
use super::config::{self, Access, Config, Domains};
use super::exit::Failure;
use super::socket::AdminSocket;
use super::tempdir::TempDir;
use super::{follow, log, parts, staff, systemd, term};
use crate::base::Clock;
use crate::routes;
use crate::shop::{Shop, jobs};
use crate::store::Store;
use crate::web::{Route, Router, Server};

/// How long what is still running may take after the listeners have drained.
const LAST_WORK: Duration = Duration::from_secs(5);

/// `zhanggui serve`: serves until a signal comes or the store fails.
///
/// # Errors
/// [`Failure::Wrong`] for the configuration, [`Failure::Failed`] for everything else.
pub fn run(path: &Path, args: Serve) -> Result<(), Failure> {
    let mut config = configured(path, &args)?;
    let scratch = args.read_only.then(TempDir::new).transpose();
    let scratch = scratch.map_err(|why| Failure::failed("无法建立临时目录", why))?;
    if let Some(scratch) = &scratch {
        let scratch = scratch.path().to_owned();
        config.store.access = Access::ReadOnly { scratch };
    }
    let _log = log::start(config.log.format, &config.log.level).map_err(Failure::Failed)?;
    raise_file_limit();
    block_on(async {
        let mut stop = Stop::listen()?;
        let clock = Clock::system();
        if let Some(url) = args.clock_from {
            follow::simulator(url, &config, clock.clone()).await?;
        }
        let mut server = parts::bind(&config, config.server.listen, clock.clone()).await?;
        let secured = Secured::of(&config, &clock).await?;
        if let Some(secured) = &secured {
            server = server.secured_by(secured.tls().clone());
        }
        let running = Running::start(config, server, clock).await?;
        if let Some(secured) = &secured {
            running.shop().shows(secured.tls().clone());
        }
        // A store that is only looked at asks no authority for anything.
        let secured = secured.filter(|_| !running.shop().is_read_only());
        term::say(format!(
            "listening on {}://{}",
            running.scheme, running.public
        ));
        if let Some(admin) = running.admin {
            term::say(format!("admin on http://{admin}"));
        }
        if let Some(plain) = secured.as_ref().and_then(Secured::plain) {
            term::say(format!("redirecting from http://{plain}"));
        }
        systemd::ready();
        let mut beside = JoinSet::new();
        beside.spawn(systemd::stay_alive(Arc::clone(running.shop())));
        if let Some(secured) = secured {
            beside.spawn(secured.keep(stop.hung_up()));
        }
        let failed = tokio::select! {
            () = stop.wanted() => None,
            why = running.failed() => Some(why),
        };
        systemd::stopping();
        beside.shutdown().await;
        let closed = running.stop().await;
        match failed {
            None => closed,
            Some(why) => Err(Failure::failed("存储出错，服务已停止", why)),
        }
    })
}

/// The configuration of the file with what the command line says.
fn configured(path: &Path, args: &Serve) -> Result<Config, Failure> {
    let domains = Domains {
        names: args.domain.clone(),
        email: args.email.clone(),
    };
    let mut config = config::load_for(path, environment(), &domains)?;
    config.store.phase_file.clone_from(&args.phase_file);
    if let Some(seconds) = args.stuck_after_s {
        config.store.stuck_after = Duration::from_secs(seconds);
    }
    Ok(config)
}

/// Allows this process as many open files as the system lets it have: each connection is one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(why) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%why, ?current, "打开文件数的上限没有提高，同时的连接会少一些");
    }
}

/// Runs `work` to its end on a new runtime.
///
/// # Errors
/// What `work` says, or that there is no runtime.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|why| Failure::failed("无法启动运行时", why))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WORK);
    done
}

/// Our variables; others are not looked at, whatever bytes they hold.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// SIGTERM and SIGINT, caught from the moment this exists; SIGHUP, which ends nothing.
pub struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    hung_up: Arc<Notify>,
}

impl Stop {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|why| Failure::failed("无法接收信号", why));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            hung_up: Arc::default(),
        })
    }

    /// Is told of every SIGHUP, while [`Stop::wanted`] is waited for.
    pub fn hung_up(&self) -> Arc<Notify> {
        Arc::clone(&self.hung_up)
    }

    /// Waits for the wish to stop.
    pub async fn wanted(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    tracing::info!("收到 SIGHUP：重新读取证书");
                    self.hung_up.notify_one();
                }
            }
        }
    }
}

/// A shop that serves, with everything around it.
pub struct Running {
    /// Where buyers and WeChat reach it.
    pub public: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Where the merchant reaches it, when that is elsewhere.
    pub admin: Option<SocketAddr>,
    shop: Arc<Shop>,
    store: Store,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<usize>,
}

impl Running {
    /// Opens the store of `config` and serves on `server`.
    ///
    /// # Errors
    /// [`Failure`]: the store does not open, an address is taken, a key belongs to another store.
    pub async fn start(config: Config, server: Server, clock: Clock) -> Result<Self, Failure> {
        let admin = match config.admin.listen {
            Some(listen) => Some(parts::bind(&config, listen, clock.clone()).await?),
            None => None,
        };
        let data_dir = config.store.data_dir.clone();
        let (shop, store) = parts::shop(config, clock).await?;
        let mut running = Self {
            public: server.local_addr(),
            scheme: server.scheme(),
            admin: admin.as_ref().map(Server::local_addr),
            shop,
            store,
            stopping: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        let socket = match running.shop.is_read_only() {
            true => None,
            false => Some(AdminSocket::bind(&data_dir)),
        };
        let socket = socket.transpose();
        let socket = socket.map_err(|why| Failure::failed("无法建立管理套接字", why))?;
        match admin {
            None => running.serve(server, routes::table()),
            Some(admin) => {
                running.serve(server, routes::public_table());
                running.serve(admin, routes::admin_table());
            }
        }
        if let Some(socket) = socket {
            running.work();
            running.answer(socket);
        }
        Ok(running)
    }

    fn serve(&mut self, server: Server, table: Vec<Route<Shop>>) {
        let table = match self.shop.is_read_only() {
            true => routes::only_reading(table),
            false => table,
        };
        let stopped = self.stopped();
        let server = server.counted(self.shop.http_metrics().clone());
        self.tasks
            .spawn(server.serve(Router::new(table), Arc::clone(&self.shop), stopped));
    }

    fn work(&mut self) {
        let (shop, stopped) = (Arc::clone(&self.shop), self.stopped());
        self.tasks.spawn(async move {
            jobs::run(shop, stopped).await;
            0
        });
    }

    fn answer(&mut self, socket: AdminSocket) {
        let (shop, stopped) = (Arc::clone(&self.shop), self.stopped());
        let reply = move |line: String| {
            let shop = Arc::clone(&shop);
            async move { staff::reply(&shop, &line).await }
        };
        self.tasks.spawn(async move {
            tokio::select! {
                () = socket.serve(reply) => {}
                () = stopped => {}
            }
            0
        });
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error means that the shop is gone, which is a stop too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// The shop itself.
    pub fn shop(&self) -> &Arc<Shop> {
        &self.shop
    }

    /// Waits until the store fails for good and tells why.
    pub async fn failed(&self) -> String {
        self.store.failed().await
    }

    /// Stops accepting, finishes what is in flight, closes the store.
    ///
    /// # Errors
    /// [`Failure::Failed`] when the store did not close well.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stopping.send_replace(true);
        let unfinished: usize = self.tasks.join_all().await.into_iter().sum();
        if unfinished > 0 {
            tracing::warn!(unfinished, "到期仍未完成的连接和请求已放弃");
        }
        let closed = self.store.close().await;
        closed.map_err(|why| Failure::failed("存储没有正常关闭", why))
    }
}

/// Opens the store of `config` for one command, without serving, and closes it again. What opening
/// did that a merchant must know (an upgrade, a rebuild, a copy) is told on stderr.
///
/// # Errors
/// [`Failure`]: the store does not open or close.
pub fn with_shop<T>(config: Config, work: impl AsyncFnOnce(Arc<Shop>) -> T) -> Result<T, Failure> {
    // One that was started before goes on.
    let _log = log::start(config.log.format, "warn").ok();
    block_on(async {
        let (shop, store) = parts::shop(config, Clock::system()).await?;
        let done = work(shop).await;
        let closed = store.close().await;
        closed.map_err(|why| Failure::failed("存储没有正常关闭", why))?;
        Ok(done)
    })
}
