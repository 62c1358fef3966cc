//! Peers that hang up, and the server's own end.

use tokio::net::TcpStream;

use super::{SHORT, limits, start, within};

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: t\r\n\r\n";

#[tokio::test]
async fn a_handler_runs_to_its_end_when_the_peer_hangs_up() {
    let mut limits = limits();
    limits.max_connections = 1;
    let server = start(limits).await;
    let mut peer = server.peer().await;
    peer.send(WAIT).await;
    server.stage.has_begun().await;
    drop(peer);
    // There is one seat: the next peer gets it once the server has noticed.
    assert_eq!(server.peer().await.get("/now").await.status, 200);
    server.stage.go_on.notify_one();
    server.stage.has_ended().await;
}

#[tokio::test]
async fn stopping_waits_for_a_running_handler_and_its_answer() {
    let mut server = start(limits()).await;
    let mut peer = server.peer().await;
    peer.send(WAIT).await;
    server.stage.has_begun().await;
    server.stop();
    within(async {
        while TcpStream::connect(server.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!server.served.is_finished());
    server.stage.go_on.notify_one();
    let answer = peer.answer().await;
    assert_eq!(answer.status, 204);
    peer.closed().await;
    assert_eq!(within(server.served).await.unwrap(), 0);
}

#[tokio::test]
async fn stopping_waits_for_a_handler_whose_peer_is_gone() {
    let mut server = start(limits()).await;
    let mut peer = server.peer().await;
    peer.send(WAIT).await;
    server.stage.has_begun().await;
    drop(peer);
    server.stop();
    let early = tokio::time::timeout(SHORT, &mut server.served).await;
    assert!(early.is_err(), "the server did not wait");
    server.stage.go_on.notify_one();
    assert_eq!(within(server.served).await.unwrap(), 0);
    server.stage.has_ended().await;
}

#[tokio::test]
async fn stopping_closes_idle_and_silent_connections_at_once() {
    let mut server = start(limits()).await;
    let (mut idle, mut silent) = (server.peer().await, server.peer().await);
    assert_eq!(idle.get("/now").await.status, 200);
    server.stop();
    idle.closed().await;
    silent.closed().await;
    assert_eq!(within(server.served).await.unwrap(), 0);
}

#[tokio::test]
async fn stopping_leaves_what_does_not_end_within_the_deadline() {
    let mut limits = limits();
    limits.deadlines.drain = SHORT;
    let mut server = start(limits).await;
    let mut peer = server.peer().await;
    peer.send(WAIT).await;
    server.stage.has_begun().await;
    server.stop();
    // The handler and its connection.
    assert_eq!(within(server.served).await.unwrap(), 2);
}
