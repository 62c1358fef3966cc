//! The server and the client over real sockets on loopback.

#![allow(clippy::unwrap_used)]

mod calls;
mod limits;
mod requests;
mod secured;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::base::Clock;

/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(5);
/// A deadline that a test waits for.
const SHORT: Duration = Duration::from_millis(200);

/// What the handlers under test share with the test.
struct Stage {
    /// One permit for each time `/wait` began.
    began: Semaphore,
    /// Lets one `/wait` go on.
    go_on: Notify,
    /// One permit for each time `/wait` came to its end.
    ended: Semaphore,
}

impl Stage {
    async fn has_begun(&self) {
        within(self.began.acquire()).await.unwrap().forget();
    }

    async fn has_ended(&self) {
        within(self.ended.acquire()).await.unwrap().forget();
    }
}

struct Running {
    addr: SocketAddr,
    stage: Arc<Stage>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<usize>,
}

fn limits() -> Limits {
    Limits {
        max_body_bytes: 1000,
        max_connections: 100,
        ..Limits::default()
    }
}

async fn start(limits: Limits) -> Running {
    start_with(limits, |server| server).await
}

async fn start_with(limits: Limits, change: impl FnOnce(Server) -> Server) -> Running {
    let proxies = TrustedProxies::parse(&["127.0.0.2"]).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(listen, limits, proxies, Clock::system());
    let server = change(server.await.unwrap());
    let stage = Arc::new(Stage {
        began: Semaphore::new(0),
        go_on: Notify::new(),
        ended: Semaphore::new(0),
    });
    let (stop, stopped) = oneshot::channel();
    let addr = server.local_addr();
    let served = server.serve(requests::router(), Arc::clone(&stage), async {
        let _ = stopped.await;
    });
    Running {
        addr,
        stage,
        stop: Some(stop),
        served: tokio::spawn(served),
    }
}

impl Running {
    async fn peer(&self) -> Peer {
        Peer(BufReader::new(TcpStream::connect(self.addr).await.unwrap()))
    }

    /// A peer at another address of this machine.
    async fn peer_from(&self, address: &str) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        let at = SocketAddr::new(address.parse().unwrap(), 0);
        socket.bind(at).unwrap();
        Peer(BufReader::new(socket.connect(self.addr).await.unwrap()))
    }

    /// The answer to one request on a connection of its own.
    async fn ask(&self, request: &str) -> Answer {
        let mut peer = self.peer().await;
        peer.send(request).await;
        peer.answer().await
    }

    fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }
}

async fn within<F: Future>(what: F) -> F::Output {
    let ended = tokio::time::timeout(LIMIT, what).await;
    ended.expect("it should have come within the limit")
}

/// Waits until `holds`, within the limit.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    within(held).await;
}

/// A client that says exactly what a test wants.
struct Peer(BufReader<TcpStream>);

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Peer {
    async fn send(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n"))
            .await;
        self.answer().await
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        within(self.0.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn answer(&mut self) -> Answer {
        let status = self.line().await;
        let status = status.split(' ').nth(1).expect("a status line");
        let mut answer = Answer {
            status: status.parse().unwrap(),
            headers: Vec::new(),
            body: String::new(),
        };
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
        let length = answer.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        within(self.0.read_exact(&mut body)).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// Waits for the server to close the connection without another word.
    async fn closed(&mut self) {
        let read = within(self.0.read(&mut [0; 1])).await;
        // A reset is an end as well.
        assert_eq!(read.unwrap_or(0), 0, "the server said something more");
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// The error code, once the whole error has the contract's shape.
    fn code(&self) -> String {
        let error = self.json();
        assert_eq!(error["request_id"], self.header("x-request-id").unwrap());
        assert!(!error["message"].as_str().unwrap().is_empty());
        error["code"].as_str().unwrap().to_owned()
    }
}
