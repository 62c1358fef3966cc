//! Peers that are too slow, too large or too many.

use std::time::Duration;

use super::super::*;
use super::{LIMIT, SHORT, limits, start};

fn deadlines(change: fn(&mut Deadlines)) -> Limits {
    let mut limits = limits();
    change(&mut limits.deadlines);
    limits
}

#[tokio::test]
async fn a_body_past_the_limit_is_413_however_it_is_sent() {
    let server = start(limits()).await;
    let full = "x".repeat(1001);
    let requests = [
        format!("POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: 1001\r\n\r\n{full}"),
        "POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: 9999999\r\n\
         expect: 100-continue\r\n\r\n"
            .to_owned(),
        format!(
            "POST /goods HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n\
             3e9\r\n{full}\r\n0\r\n\r\n"
        ),
    ];
    for request in requests {
        let answer = server.ask(&request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (413, "BODY_TOO_LARGE")
        );
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let server = start(limits()).await;
    let body = format!("{{\"title\":\"{}\"}}", "x".repeat(1000 - 12));
    assert_eq!(body.len(), 1000);
    let request = format!("POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n{body}");
    assert_eq!(server.ask(&request).await.status, 201);
}

#[tokio::test]
async fn a_long_address_is_414_and_a_long_head_431() {
    let server = start(limits()).await;
    let path = "x".repeat(8 * 1024);
    let request = format!("GET /{path} HTTP/1.1\r\nhost: t\r\n\r\n");
    let answer = server.ask(&request).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (414, "URI_TOO_LONG")
    );
    let tag = "x".repeat(32 * 1024);
    let request = format!("GET /now HTTP/1.1\r\nhost: t\r\nx-tag: {tag}\r\n\r\n");
    assert_eq!(server.ask(&request).await.status, 431);
    let many = "x-tag: 1\r\n".repeat(101);
    let request = format!("GET /now HTTP/1.1\r\nhost: t\r\n{many}\r\n");
    assert_eq!(server.ask(&request).await.status, 431);
}

#[tokio::test]
async fn a_connection_that_never_finishes_a_head_is_closed() {
    let server = start(deadlines(|d| d.head = SHORT)).await;
    let mut silent = server.peer().await;
    silent.closed().await;
    let mut slow = server.peer().await;
    slow.send("GET /now HT").await;
    slow.closed().await;
    let mut later = server.peer().await;
    assert_eq!(later.get("/now").await.status, 200);
    later.send("GET /n").await;
    later.closed().await;
}

#[tokio::test]
async fn a_head_that_trickles_in_is_closed_all_the_same() {
    let server = start(deadlines(|d| d.head = SHORT)).await;
    let mut peer = server.peer().await;
    assert_eq!(peer.get("/now").await.status, 200);
    peer.send("GET /now HTTP/1.1\r\n").await;
    let begun = std::time::Instant::now();
    let trickle = async {
        loop {
            peer.send("x: y\r\n").await;
            if peer.0.get_ref().try_read(&mut [0; 1]).is_ok_and(|n| n == 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    super::within(trickle).await;
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let server = start(deadlines(|d| d.idle = SHORT)).await;
    let mut peer = server.peer().await;
    let begun = std::time::Instant::now();
    while begun.elapsed() < SHORT * 3 {
        assert_eq!(peer.get("/now").await.status, 200);
        tokio::time::sleep(SHORT / 4).await;
    }
    let idle = std::time::Instant::now();
    peer.closed().await;
    assert!(idle.elapsed() < LIMIT / 2);
}

#[tokio::test]
async fn a_handler_that_takes_long_is_not_idle() {
    let server = start(deadlines(|d| (d.idle, d.head) = (SHORT, SHORT))).await;
    let mut peer = server.peer().await;
    peer.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.stage.has_begun().await;
    tokio::time::sleep(SHORT * 3).await;
    server.stage.go_on.notify_one();
    assert_eq!(peer.answer().await.status, 204);
}

#[tokio::test]
async fn a_body_that_never_ends_is_408() {
    let server = start(deadlines(|d| d.body = SHORT)).await;
    let mut peer = server.peer().await;
    peer.send("POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\n{\"ti")
        .await;
    let answer = peer.answer().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (408, "REQUEST_TIMEOUT")
    );
    peer.closed().await;
}

#[tokio::test]
async fn beyond_the_connection_limit_newcomers_wait_for_a_seat() {
    let mut limits = limits();
    limits.max_connections = 2;
    let server = start(limits).await;
    let (mut first, mut second) = (server.peer().await, server.peer().await);
    assert_eq!(first.get("/now").await.status, 200);
    assert_eq!(second.get("/now").await.status, 200);
    let mut third = server.peer().await;
    third.send("GET /now HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let early = tokio::time::timeout(SHORT, third.answer()).await;
    assert!(early.is_err(), "a third connection was served");
    drop(first);
    assert_eq!(third.answer().await.status, 200);
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_the_server_goes_on() {
    let server = start(limits()).await;
    for junk in [
        "(HELLO)\r\n\r\n",
        "HELLO\r\n\r\n",
        "GET /now HTTP/9.9\r\n\r\n",
    ] {
        assert_eq!(server.ask(junk).await.status, 400, "{junk:?}");
    }
    let twice = "POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n";
    assert_eq!(server.ask(twice).await.status, 400);
    assert_eq!(server.peer().await.get("/now").await.status, 200);
}
