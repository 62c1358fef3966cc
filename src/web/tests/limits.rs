//! Peers that are too slow, too large or too many.

use std::time::Duration;

use super::super::*;
use super::{LIMIT, SHORT, limits, start};

fn deadlines(change: fn(&mut Deadlines)) -> Limits {
    let mut limits = limits();
    change(&mut limits.deadlines);
    limits
}

/// So many connections in all and of one address.
fn seats(most: usize, most_per_address: usize) -> Limits {
    let mut limits = limits();
    limits.max_connections = most;
    limits.per_address.connections = most_per_address;
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
    let answer = server.ask(&request).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (431, "HEAD_TOO_LARGE")
    );
    let path = "x".repeat(66_000);
    let mut roomy = limits();
    roomy.max_head_bytes = 128 * 1024;
    let request = format!("GET /{path} HTTP/1.1\r\nhost: t\r\n\r\n");
    let answer = start(roomy).await.ask(&request).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (414, "URI_TOO_LONG")
    );
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
async fn beyond_the_connection_limit_newcomers_wait_while_nobody_is_idle() {
    let server = start(seats(2, usize::MAX)).await;
    let (mut first, mut second) = (server.peer().await, server.peer().await);
    for peer in [&mut first, &mut second] {
        peer.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
        server.stage.has_begun().await;
    }
    let mut third = server.peer().await;
    third.send("GET /now HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let early = tokio::time::timeout(SHORT, third.answer()).await;
    assert!(early.is_err(), "a third connection was served");
    server.stage.go_on.notify_one();
    assert_eq!(third.answer().await.status, 200);
    server.stage.go_on.notify_one();
}

#[tokio::test]
async fn the_connection_that_is_idle_longest_gives_way_to_a_newcomer() {
    let server = start(seats(3, usize::MAX)).await;
    let mut busy = server.peer().await;
    busy.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.stage.has_begun().await;
    let (mut first, mut second) = (server.peer().await, server.peer().await);
    assert_eq!(first.get("/now").await.status, 200);
    assert_eq!(second.get("/now").await.status, 200);
    assert_eq!(first.get("/now").await.status, 200);
    let mut third = server.peer().await;
    assert_eq!(third.get("/now").await.status, 200);
    second.closed().await;
    assert_eq!(first.get("/now").await.status, 200);
    assert_eq!(server.peer().await.get("/now").await.status, 200);
    third.closed().await;
    server.stage.go_on.notify_one();
    assert_eq!(busy.answer().await.status, 204);
}

#[tokio::test]
async fn one_address_holds_its_share_and_takes_from_itself() {
    let server = start(seats(100, 2)).await;
    let (mut first, mut second) = (server.peer().await, server.peer().await);
    assert_eq!(first.get("/now").await.status, 200);
    assert_eq!(second.get("/now").await.status, 200);
    // 127.0.0.2 is a trusted proxy here: many are behind it.
    let mut proxied = Vec::new();
    for _ in 0..5 {
        proxied.push(server.peer_from("127.0.0.2").await);
    }
    let mut other = server.peer_from("127.0.0.3").await;
    assert_eq!(other.get("/now").await.status, 200);
    let mut third = server.peer().await;
    assert_eq!(third.get("/now").await.status, 200);
    first.closed().await;
    for kept in [&mut second, &mut other].into_iter().chain(&mut proxied) {
        assert_eq!(kept.get("/now").await.status, 200);
    }
}

#[tokio::test]
async fn an_address_that_uses_its_whole_share_gets_no_more() {
    let server = start(seats(100, 1)).await;
    let mut busy = server.peer().await;
    busy.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.stage.has_begun().await;
    server.peer().await.closed().await;
    let mut other = server.peer_from("127.0.0.3").await;
    assert_eq!(other.get("/now").await.status, 200);
    server.stage.go_on.notify_one();
    assert_eq!(busy.answer().await.status, 204);
}

#[tokio::test]
async fn work_goes_on_counting_when_its_caller_has_hung_up() {
    let mut limits = limits();
    limits.per_address.running = 2;
    let server = start(limits).await;
    for _ in 0..2 {
        let mut peer = server.peer().await;
        peer.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
        server.stage.has_begun().await;
    }
    let refused = server.peer().await.get("/now").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "RATE_LIMITED")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    let mut other = server.peer_from("127.0.0.3").await;
    assert_eq!(other.get("/now").await.status, 200);
    server.stage.go_on.notify_one();
    server.stage.has_ended().await;
    super::until(async || server.peer().await.get("/now").await.status == 200).await;
    server.stage.go_on.notify_one();
}

#[tokio::test]
async fn an_address_that_proves_nobody_too_often_is_told_to_wait() {
    let mut limits = limits();
    limits.per_address.requests_per_minute = 3;
    let server = start(limits).await;
    let mut peer = server.peer().await;
    for path in ["/now", "/nowhere", "/now"] {
        assert!(peer.get(path).await.status < 429, "{path}");
    }
    for path in ["/now", "/nowhere", "/panic"] {
        let refused = peer.get(path).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (429, "RATE_LIMITED")
        );
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=21).contains(&wait), "{wait} s");
    }
    let mut other = server.peer_from("127.0.0.3").await;
    assert_eq!(other.get("/now").await.status, 200);
    // Behind a trusted proxy everyone is counted by the address it names.
    let named = |address: &str| {
        format!("GET /now HTTP/1.1\r\nhost: t\r\nx-forwarded-for: {address}\r\n\r\n")
    };
    let mut proxy = server.peer_from("127.0.0.2").await;
    for (address, status) in [("127.0.0.1", 429), ("192.0.2.7", 200)] {
        proxy.send(&named(address)).await;
        assert_eq!(proxy.answer().await.status, status, "{address}");
    }
}

#[tokio::test]
async fn a_body_that_trickles_in_is_408_long_before_its_deadline() {
    tokio::time::pause();
    let mut limits = limits();
    limits.min_body_bytes_per_s = 10;
    let server = start(limits).await;
    let from = tokio::time::Instant::now();
    let head = "POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: 900\r\n\r\n";
    let mut slow = server.peer().await;
    slow.send(head).await;
    for _ in 0..7 {
        slow.send("{").await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(slow.answer().await.status, 408);
    let took = from.elapsed().as_secs();
    assert!((5..10).contains(&took), "{took} s");
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_the_server_goes_on() {
    let server = start(limits()).await;
    for junk in [
        "(HELLO)\r\n\r\n",
        "HELLO\r\n\r\n",
        "GET /now HTTP/9.9\r\n\r\n",
    ] {
        let answer = server.ask(junk).await;
        let said = (answer.status, answer.code());
        assert_eq!(said, (400, "INVALID_REQUEST".to_owned()), "{junk:?}");
    }
    let mut used = server.peer().await;
    assert_eq!(used.get("/now").await.status, 200);
    used.send("GET /now HTTP/1.1\r\nhost: t\r\n\r\n(HELLO)\r\n\r\n")
        .await;
    assert_eq!(used.answer().await.status, 200);
    assert_eq!(used.answer().await.code(), "INVALID_REQUEST");
    used.closed().await;
    let twice = "POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n";
    assert_eq!(server.ask(twice).await.status, 400);
    assert_eq!(server.peer().await.get("/now").await.status, 200);
}
