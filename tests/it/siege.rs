//! Attackers who lay siege to a shop from other addresses of this machine, while buyers buy.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::wait::until;
use crate::world::World;

/// How long an attacker waits for words of the server.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of the attackers' work.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Connections that were made.
    connected: AtomicU64,
    /// Connections that the server ended.
    closed: AtomicU64,
    /// Answers by status: 200 to 599, and the sum.
    answers: [AtomicU64; 6],
    limited: AtomicU64,
    /// What an attack itself counts.
    passed: AtomicU64,
}

impl Tally {
    pub(crate) fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// Answers with a status from `hundreds` × 100 on, 429 not among them.
    pub(crate) fn answered(&self, hundreds: usize) -> u64 {
        self.answers[hundreds].load(Ordering::Relaxed)
    }

    pub(crate) fn limited(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }

    /// One more of what an attack itself counts.
    pub(crate) fn passed(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn all_passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    fn count(&self, status: u16) {
        match status {
            429 => &self.limited,
            status => &self.answers[usize::from(status / 100).min(5)],
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}

/// One attacker at one address.
#[derive(Clone)]
pub(crate) struct Attacker {
    from: IpAddr,
    to: SocketAddr,
    pub(crate) tally: Arc<Tally>,
}

impl Attacker {
    pub(crate) async fn connect(&self) -> io::Result<Line> {
        let socket = TcpSocket::new_v4()?;
        // Thousands of connections leave one address: only the pair has to be unused.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(self.from, 0))?;
        let stream = socket.connect(self.to).await?;
        self.tally.connected.fetch_add(1, Ordering::Relaxed);
        let tally = Arc::clone(&self.tally);
        Ok(Line { stream, tally })
    }

    /// Sends `text` on a connection of its own and takes the first answer's head.
    pub(crate) async fn ask(&self, text: &str) -> io::Result<String> {
        let mut line = self.connect().await?;
        line.say(text.as_bytes()).await?;
        line.answer().await
    }
}

/// An attacker's connection.
pub(crate) struct Line {
    stream: TcpStream,
    tally: Arc<Tally>,
}

impl Line {
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads one answer, counts it and gives back its whole text.
    pub(crate) async fn answer(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        let whole = async {
            while !is_whole(&text) {
                if self.stream.read_buf(&mut text).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        };
        let read = timeout(PATIENCE, whole).await;
        read.map_err(|_| io::ErrorKind::TimedOut).and_then(|read| {
            read.map_err(|error: io::Error| {
                self.tally.closed.fetch_add(1, Ordering::Relaxed);
                error.kind()
            })
        })?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        self.tally.count(status.unwrap_or(0));
        Ok(text)
    }

    /// Waits for the server to end the connection, whatever it says before.
    pub(crate) async fn closed(&mut self) {
        let mut sink = [0; 4096];
        while self.stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
        self.tally.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the server has said something, or ended the connection.
    pub(crate) fn has_news(&self) -> bool {
        let peeked = self.stream.try_read(&mut [0; 1]);
        !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

fn is_whole(text: &[u8]) -> bool {
    let Some(end) = text.windows(4).position(|part| part == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&text[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    text.len() >= end + 4 + length
}

/// The attack, until it is dropped.
pub(crate) struct Siege {
    pub(crate) tally: Arc<Tally>,
    runtime: Option<Runtime>,
}

impl Siege {
    /// From each address of `from`, `many` attackers at once do `attack` over and over.
    pub(crate) fn lay<F>(
        world: &World,
        from: &[&str],
        many: usize,
        attack: impl Fn(Attacker) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<()>> + Send,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let tally = Arc::<Tally>::default();
        for address in from {
            let attacker = Attacker {
                from: address.parse().unwrap(),
                to: world.place.get().unwrap(),
                tally: Arc::clone(&tally),
            };
            for _ in 0..many {
                let (attacker, attack) = (attacker.clone(), attack.clone());
                runtime.spawn(async move {
                    loop {
                        // An attack that failed is what the shop hopes for; the next may not.
                        if attack(attacker.clone()).await.is_err() {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    }
                });
            }
        }
        let runtime = Some(runtime);
        Self { tally, runtime }
    }

    /// Waits until the attack has come so far.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Tally) -> bool) {
        until(what, || holds(&self.tally));
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How many purchases stand for "ordinary buyers are served".
const PURCHASES: usize = 5;

/// Buyers log in, order and pay, one after the other: every one of them must get what they paid.
#[track_caller]
pub(crate) fn purchases(world: &World, goods: u64) {
    for _ in 0..PURCHASES {
        let buyer = world.buyer();
        let order_no = buyer.order(goods, 1);
        let fields = buyer.pay(&order_no);
        let told: Value = world.wechat.pays(&fields);
        let order = buyer.see(&order_no);
        assert_eq!(order["status"], "paid", "{order} after {told}");
    }
}

/// The resident memory of the server, in KiB.
pub(crate) fn resident_kib(world: &mut World) -> u64 {
    let pid = world.server().pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.unwrap().split_whitespace().next().unwrap();
    words.parse().unwrap()
}
