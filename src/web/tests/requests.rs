//! What one request gets, whatever it asks.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json as value;

use super::super::*;
use super::{Stage, limits, start};

/// The routes of all these tests.
pub(super) fn router() -> Router<Stage> {
    Router::new(vec![
        route(Method::GET, "/now", now),
        route(Method::GET, "/wait", wait),
        route(Method::GET, "/who", who),
        route(Method::GET, "/panic", panic_at_once),
        route(Method::GET, "/panic/later", panic_later),
        route(Method::GET, "/refused", refused),
        route(Method::POST, "/goods", new_goods),
        route(Method::GET, "/goods/{id}", goods),
        route(Method::DELETE, "/goods/{id}", goods),
    ])
}

async fn now(_: Arc<Stage>, _: Anyone, _: Req) -> Outcome {
    Ok(no_store(json(StatusCode::OK, &value!({"at": "once"}))))
}

async fn wait(stage: Arc<Stage>, _: Anyone, _: Req) -> Outcome {
    stage.began.add_permits(1);
    stage.go_on.notified().await;
    stage.ended.add_permits(1);
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn who(_: Arc<Stage>, _: Anyone, req: Req) -> Outcome {
    let said = match req.secure() {
        true => format!("{} https", req.client_addr),
        false => req.client_addr.to_string(),
    };
    Ok(text(StatusCode::OK, "text/plain", said))
}

async fn panic_at_once(_: Arc<Stage>, _: Anyone, _: Req) -> Outcome {
    panic!("on purpose")
}

async fn panic_later(_: Arc<Stage>, _: Anyone, _: Req) -> Outcome {
    tokio::task::yield_now().await;
    panic!("on purpose, after waiting")
}

async fn refused(_: Arc<Stage>, _: Anyone, _: Req) -> Outcome {
    Err(HttpError {
        detail: Some(value!({"stock": 3})),
        retry_after_s: Some(7),
        ..HttpError::new(StatusCode::CONFLICT, "OUT_OF_STOCK", "库存不足")
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGoods {
    title: String,
}

async fn new_goods(_: Arc<Stage>, _: Anyone, req: Req) -> Outcome {
    let NewGoods { title } = req.json().await?;
    Ok(json(StatusCode::CREATED, &value!({ "title": title })))
}

async fn goods(_: Arc<Stage>, _: Anyone, req: Req) -> Outcome {
    let id: u32 = req.param("id")?;
    let seen = value!({
        "id": id,
        "q": req.query("q"),
        "bearer": req.bearer(),
        "tag": req.header("X-Tag"),
        "target": req.target(),
        "pattern": req.pattern(),
    });
    Ok(json(StatusCode::OK, &seen))
}

#[tokio::test]
async fn a_connection_carries_many_requests_each_with_its_own_id() {
    let server = start(limits()).await;
    let mut peer = server.peer().await;
    let mut ids = HashSet::new();
    for path in ["/now", "/nowhere", "/now", "/refused", "/panic", "/now"] {
        let answer = peer.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert!(ids.insert(id), "{path} repeats an id");
    }
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn a_request_id_is_never_the_clients() {
    let server = start(limits()).await;
    let request = "GET /now HTTP/1.1\r\nhost: t\r\nx-request-id: mine\r\n\r\n";
    let answer = server.ask(request).await;
    assert_eq!(answer.header("x-request-id").map(str::len), Some(16));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn two_requests_in_one_packet_are_answered_in_turn() {
    let server = start(limits()).await;
    let mut peer = server.peer().await;
    peer.send("GET /now HTTP/1.1\r\nhost: t\r\n\r\nGET /who HTTP/1.1\r\nhost: t\r\n\r\n")
        .await;
    assert_eq!(peer.answer().await.json()["at"], "once");
    assert_eq!(peer.answer().await.body, "127.0.0.1");
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let server = start(limits()).await;
    let unknown = server.ask("GET /nowhere HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "NOT_FOUND")
    );
    let wrong = server.ask("PUT /goods/1 HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.code(), "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.header("allow"), Some("GET, DELETE"));
}

#[tokio::test]
async fn a_handler_sees_path_query_and_headers() {
    let server = start(limits()).await;
    let request = "GET /goods/%31%32?a=1&q=%E8%8C%B6+5%25&q=2 HTTP/1.1\r\nhost: t\r\n\
        x-tag: red\r\nauthorization: bearer abc\r\n\r\n";
    let seen = server.ask(request).await.json();
    assert_eq!(seen["id"], 12);
    assert_eq!(seen["q"], "茶 5%");
    assert_eq!(seen["bearer"], "abc");
    assert_eq!(seen["tag"], "red");
    assert_eq!(seen["target"], "/goods/%31%32?a=1&q=%E8%8C%B6+5%25&q=2");
    assert_eq!(seen["pattern"], "/goods/{id}");
    for id in ["x", "-1", "1.5", "99999999999"] {
        let request = format!("GET /goods/{id} HTTP/1.1\r\nhost: t\r\n\r\n");
        let answer = server.ask(&request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "INVALID_REQUEST")
        );
    }
}

#[tokio::test]
async fn an_error_has_the_contracts_shape_with_detail_and_retry_after() {
    let server = start(limits()).await;
    let answer = server.ask("GET /refused HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (409, "OUT_OF_STOCK")
    );
    assert_eq!(answer.json()["detail"]["stock"], 3);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_body_is_read_as_json_and_a_wrong_one_named() {
    let server = start(limits()).await;
    let cases = [
        (r#"{"title":"茶"}"#, 201, ""),
        ("", 400, "请求体为空"),
        (r#"{"title":5}"#, 400, "字段 \"title\" 类型不对: 应为文本"),
        (r#"{"title":"a","price":1}"#, 400, "字段 \"price\" 不认识"),
    ];
    for (body, status, message) in cases {
        let length = body.len();
        let request =
            format!("POST /goods HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n{body}");
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, status, "{body}");
        if status == 400 {
            assert_eq!(answer.code(), "INVALID_REQUEST");
            assert_eq!(answer.json()["message"], message);
        }
    }
}

#[tokio::test]
async fn a_panic_is_500_and_the_connection_lives() {
    let server = start(limits()).await;
    let mut peer = server.peer().await;
    for path in ["/panic", "/panic/later"] {
        let answer = peer.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (500, "INTERNAL"));
        assert!(!answer.body.contains("on purpose"));
        assert_eq!(peer.get("/now").await.status, 200);
    }
}

#[tokio::test]
async fn a_forwarded_address_and_https_are_believed_from_a_trusted_proxy_only() {
    let server = start(limits()).await;
    let request = "GET /who HTTP/1.1\r\nhost: t\r\nx-forwarded-for: 1.1.1.1\r\n\
        x-forwarded-proto: https\r\n\r\n";
    assert_eq!(server.ask(request).await.body, "127.0.0.1");
    let mut proxy = server.peer_from("127.0.0.2").await;
    proxy.send(request).await;
    assert_eq!(proxy.answer().await.body, "1.1.1.1 https");
}
