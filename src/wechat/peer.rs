//! A peer for the tests of the client: it hears what was sent and says what it was told to say.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::base::rsa::PrivateKey;
use crate::base::xml::Fields;
use crate::base::{Clock, Fen, PrepayId, Secret, Timestamp};
use crate::web::Client;
use crate::wechat::trade::tests::attempt;
use crate::wechat::v2::sign::{sign, verifies};
use crate::wechat::v3::{Keyring, Trust, VerifyWith};
use crate::wechat::{
    Cause, CloseAnswer, PayConfig, PrepayRequest, Protocol, SignType, Trace, V2Keys, V3Keys,
    Version, Wechat, WechatConfig, WechatError, vectors,
};

pub(crate) const KEY: &str = "0123456789abcdefghijklmnopqrstuv";

/// A listening peer with one answer a connection; an empty one closes without a word.
pub(crate) struct Peer {
    pub(crate) base: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub(crate) fn answering(answers: Vec<String>) -> Self {
        Self::with(|_| answers)
    }

    /// A peer whose answers name its own base.
    pub(super) fn with(answers: impl FnOnce(&str) -> Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let answers = answers(&base);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a connection");
                let request = read_request(&mut stream);
                ears.lock().expect("no panic").push(request);
                stream.write_all(answer.as_bytes()).expect("written");
            }
        });
        Self { base, heard }
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no panic").clone()
    }
}

fn read_request(stream: &mut impl Read) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).expect("readable");
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = header(head, "content-length").map_or(0, |l| l.parse().expect("a length"));
        if body.len() >= length || count == 0 {
            return text;
        }
    }
}

pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

pub(crate) fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").expect("a head").1
}

pub(crate) fn http(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\
         {headers}\r\n{body}"
    )
}

pub(crate) fn wechat(base: &str, version: Version, wechat_keys: Keyring) -> Wechat {
    let config = config(base, version, Trust::of(VerifyWith::PublicKey, wechat_keys));
    Wechat::new(Client::new().expect("a client"), config)
}

pub(crate) fn config(base: &str, version: Version, wechat_keys: Trust) -> WechatConfig {
    let v2 = V2Keys {
        key: Secret::from(KEY),
        sign_type: SignType::HmacSha256,
    };
    let v3 = V3Keys {
        api_key: Secret::from("YvcMztKNGYlAV3OM50H5Y3VZzCQFs4x8"),
        merchant_serial: vectors::key_entry("merchant", "serial_no"),
        merchant_key: vectors::merchant_key(),
        wechat_keys,
    };
    let pay = PayConfig {
        mchid: "1900000109".parse().ok(),
        base: base.to_owned(),
        base_2: None,
        version,
        v2: Some(v2),
        v2_client: None,
        v3: Some(v3),
    };
    WechatConfig {
        appid: "wx8888888888888888".parse().expect("an appid"),
        secret: Secret::from("s3cret"),
        mini_base: base.to_owned(),
        pay,
    }
}

fn request(wechat: &Wechat) -> PrepayRequest {
    let wanted = crate::wechat::v2::order::tests::wanted(Timestamp::from_unix(1_767_196_830));
    wechat.compose(&wanted).expect("composed")
}

pub(crate) fn signed_xml(fields: &[(&str, &str)]) -> String {
    let mut answer: Fields = fields.iter().copied().collect();
    answer.set("return_code", "SUCCESS");
    let signature = sign(&answer, &Secret::from(KEY), SignType::HmacSha256);
    http(200, "", &answer.with("sign", signature).to_xml())
}

pub(crate) fn signed_json(status: u16, key: &PrivateKey, body: &str) -> String {
    let now = Clock::system().now().unix();
    let signature = key.sign(format!("{now}\nn\n{body}\n").as_bytes());
    let headers = format!(
        "wechatpay-timestamp: {now}\r\nwechatpay-nonce: n\r\nwechatpay-serial: PUB_KEY_ID_1\r\n\
         wechatpay-signature: {signature}\r\n"
    );
    http(status, &headers, body)
}

fn prepaid(id: &str) -> Result<PrepayId, WechatError> {
    Ok(id.parse().expect("a prepay_id"))
}

#[tokio::test]
async fn a_busy_login_is_repeated_once_with_the_same_code_and_never_more() {
    let busy = || http(200, "", r#"{"errcode":-1,"errmsg":"system error"}"#);
    let good = http(200, "", r#"{"openid":"o1","session_key":"k"}"#);
    let peer = Peer::answering(vec![busy(), good, busy(), busy()]);
    let wechat = wechat(&peer.base, Version::V3, Keyring::default());
    let session = wechat.login("c/1").await.expect("a session");
    assert_eq!(session.openid.as_str(), "o1");
    let refused = wechat.login("c2").await.expect_err("busy twice");
    assert_eq!(refused.cause(), Some(Cause::Busy));
    let lines: Vec<String> = peer
        .heard()
        .iter()
        .map(|r| r.lines().next().unwrap_or("").to_owned())
        .collect();
    let line = |code: &str| {
        format!(
            "GET /sns/jscode2session?grant_type=authorization_code&appid=wx8888888888888888\
             &secret=s3cret&js_code={code} HTTP/1.1"
        )
    };
    assert_eq!(
        lines,
        [line("c%2F1"), line("c%2F1"), line("c2"), line("c2")]
    );
}

#[tokio::test]
async fn a_login_that_may_have_been_heard_is_not_repeated_and_shows_no_secret() {
    let unavailable = http(503, "", "");
    let peer = Peer::answering(vec![String::new(), unavailable, http(200, "", "{}")]);
    let wechat = wechat(&peer.base, Version::V3, Keyring::default());
    for heard in [1, 2, 3] {
        let error = wechat.login("c1").await.expect_err("no session");
        assert!(matches!(error, WechatError::Unknown(_)), "{error}");
        assert!(!format!("{error} {error:?} {wechat:?}").contains("s3cret"));
        assert_eq!(peer.heard().len(), heard);
    }
}

#[tokio::test]
async fn an_unknown_v2_outcome_is_repeated_with_another_nonce_and_nothing_else() {
    let busy = [("result_code", "FAIL"), ("err_code", "SYSTEMERROR")];
    let good = [("result_code", "SUCCESS"), ("prepay_id", "wx1")];
    let peer = Peer::answering(vec![String::new(), signed_xml(&busy), signed_xml(&good)]);
    let wechat = wechat(&peer.base, Version::V2, Keyring::default());
    let request = request(&wechat);
    assert_eq!(
        wechat.prepay(&request, &Trace::new(&Clock::system())).await,
        prepaid("wx1")
    );
    let mut nonces = vec![];
    for heard in peer.heard() {
        assert!(heard.starts_with("POST /pay/unifiedorder HTTP/1.1"));
        let mut fields = Fields::parse(body(&heard).as_bytes(), "xml").expect("XML");
        assert!(verifies(&fields, &Secret::from(KEY), SignType::HmacSha256));
        nonces.extend(fields.remove("nonce_str"));
        fields.remove("sign");
        assert_eq!(fields.to_xml(), request.text);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 3);
}

#[tokio::test]
async fn an_unknown_v3_outcome_is_repeated_with_the_same_body_under_a_fresh_signature() {
    let key = PrivateKey::generate();
    let ring = Keyring::default().with_public_key("PUB_KEY_ID_1", key.public());
    let good = r#"{"prepay_id":"wx1"}"#;
    let forged = signed_json(200, &PrivateKey::generate(), r#"{"prepay_id":"wx2"}"#);
    let failed = http(500, "", r#"{"code":"SYSTEM_ERROR","message":"m"}"#);
    let peer = Peer::answering(vec![forged, failed, signed_json(200, &key, good)]);
    let wechat = wechat(&peer.base, Version::V3, ring);
    let request = request(&wechat);
    assert_eq!(
        wechat.prepay(&request, &Trace::new(&Clock::system())).await,
        prepaid("wx1")
    );
    let heard = peer.heard();
    let mut signatures = vec![];
    for heard in &heard {
        assert!(heard.starts_with("POST /v3/pay/transactions/jsapi HTTP/1.1"));
        assert_eq!(body(heard), request.text);
        assert_eq!(header(heard, "wechatpay-serial"), Some("PUB_KEY_ID_1"));
        assert_eq!(header(heard, "content-type"), Some("application/json"));
        signatures.extend(header(heard, "authorization"));
    }
    signatures.sort();
    signatures.dedup();
    assert_eq!(signatures.len(), 3);
}

#[tokio::test]
async fn a_refusal_is_final_and_three_doubts_are_unknown() {
    let paid = [("result_code", "FAIL"), ("err_code", "ORDERPAID")];
    let closed = http(400, "", r#"{"code":"ORDER_CLOSED","message":"m"}"#);
    let lost = vec![http(502, "", ""), String::new(), http(202, "", "")];
    let peer = Peer::answering([vec![signed_xml(&paid), closed], lost].concat());
    let clock = Clock::system();
    let second = wechat(&peer.base, Version::V2, Keyring::default());
    let refused = second
        .prepay(&request(&second), &Trace::new(&clock))
        .await
        .expect_err("paid");
    assert_eq!(refused.cause(), Some(Cause::OrderPaid));
    let third = wechat(&peer.base, Version::V3, Keyring::default());
    let refused = third
        .prepay(&request(&third), &Trace::new(&clock))
        .await
        .expect_err("closed");
    assert_eq!(refused.cause(), Some(Cause::OrderClosed));
    assert_eq!(peer.heard().len(), 2);
    let lost = third.prepay(&request(&third), &Trace::new(&clock)).await;
    assert!(matches!(lost, Err(WechatError::Unknown(_))), "{lost:?}");
    assert_eq!(peer.heard().len(), 5);
}

#[tokio::test]
async fn what_never_left_is_not_sent() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}", free.local_addr().expect("bound"));
    drop(free);
    let wechat = wechat(&base, Version::V3, Keyring::default());
    let error = wechat
        .prepay(&request(&wechat), &Trace::new(&Clock::system()))
        .await;
    assert!(matches!(error, Err(WechatError::NotSent(_))), "{error:?}");
    let error = wechat.login("c1").await;
    assert!(matches!(error, Err(WechatError::NotSent(_))), "{error:?}");
}

#[test]
fn what_cannot_be_sent_is_not_composed() {
    let wanted = crate::wechat::v2::order::tests::wanted(Timestamp::from_unix(1_767_196_830));
    let wechat = |version| wechat("http://127.0.0.1:1", version, Keyring::default());
    let free = crate::wechat::Wanted {
        amount: Fen::ZERO,
        ..wanted.clone()
    };
    let nameless = crate::wechat::Wanted {
        description: "🍎".to_owned(),
        ..wanted.clone()
    };
    for wanted in [&free, &nameless] {
        let refused = wechat(Version::V3).compose(wanted).expect_err("refused");
        assert_eq!(refused.cause(), Some(Cause::BadRequest));
    }
    let protocol = |version| {
        wechat(version)
            .compose(&wanted)
            .map(|request| request.protocol)
    };
    assert_eq!(protocol(Version::V2), Ok(Protocol::V2HmacSha256));
    assert_eq!(protocol(Version::V3), Ok(Protocol::V3));
}

#[tokio::test]
async fn a_v2_query_and_close_are_signed_and_believed() {
    let attempt = attempt(Protocol::V2HmacSha256);
    let number = attempt.out_trade_no.to_string();
    let paid = [
        ("result_code", "SUCCESS"),
        ("trade_state", "SUCCESS"),
        ("out_trade_no", number.as_str()),
        ("transaction_id", "4200000001"),
        ("total_fee", "5980"),
    ];
    let closed = [("result_code", "FAIL"), ("err_code", "ORDERPAID")];
    let peer = Peer::answering(vec![signed_xml(&paid), signed_xml(&closed)]);
    let wechat = wechat(&peer.base, Version::V2, Keyring::default());
    let clock = Clock::system();
    let trace = Trace::new(&clock);
    let trade = wechat.query(&attempt, &trace).await.expect("a trade");
    assert_eq!(attempt.check(&trade.payment.expect("money")), Ok(()));
    let answer = wechat.close(&attempt, &trace).await;
    assert_eq!(answer, Ok(CloseAnswer::Paid));
    let heard = peer.heard();
    assert!(heard[0].starts_with("POST /pay/orderquery HTTP/1.1"));
    assert!(heard[1].starts_with("POST /pay/closeorder HTTP/1.1"));
    for heard in &heard {
        let fields = Fields::parse(body(heard).as_bytes(), "xml").expect("XML");
        assert!(verifies(&fields, &Secret::from(KEY), SignType::HmacSha256));
        assert_eq!(fields.text("out_trade_no"), number);
    }
    let said: Vec<_> = trace.exchanges().into_iter().map(|e| e.answered).collect();
    assert_eq!(said[0], "200 trade_state SUCCESS transaction_id 4200000001");
    assert_eq!(said[1], "200 ORDERPAID");
}

#[tokio::test]
async fn a_v3_close_is_a_signed_204_and_nothing_less() {
    let (key, clock) = (PrivateKey::generate(), Clock::system());
    let ring = Keyring::default().with_public_key("PUB_KEY_ID_1", key.public());
    let unsigned = http(204, "", "");
    let peer = Peer::answering(vec![unsigned, signed_json(204, &key, "")]);
    let wechat = wechat(&peer.base, Version::V3, ring);
    let trace = Trace::new(&clock);
    let answer = wechat.close(&attempt(Protocol::V3), &trace).await;
    assert_eq!(answer, Ok(CloseAnswer::Closed));
    let heard = peer.heard();
    assert_eq!(heard.len(), 2);
    let path = "/v3/pay/transactions/out-trade-no/20260101000X9G000000000000/close";
    assert!(heard[1].starts_with(&format!("POST {path} HTTP/1.1")));
    assert_eq!(body(&heard[1]), r#"{"mchid":"1900000109"}"#);
    let first = &trace.exchanges()[0];
    assert!(first.answered.contains("缺少签名头"), "{first:?}");
}

#[tokio::test]
async fn an_attempt_of_another_merchant_is_not_asked_about() {
    let wechat = wechat("http://127.0.0.1:1", Version::V3, Keyring::default());
    let (clock, ours) = (Clock::system(), attempt(Protocol::V3));
    let other_merchant = crate::model::Attempt {
        mchid: "1900000110".parse().expect("an mchid"),
        ..ours.clone()
    };
    let other_program = crate::model::Attempt {
        appid: "wx1".parse().expect("an appid"),
        ..ours
    };
    for foreign in [other_merchant, other_program] {
        let trace = Trace::new(&clock);
        let error = wechat.query(&foreign, &trace).await.expect_err("refused");
        assert_eq!(error.cause(), Some(Cause::Config));
        let error = wechat.close(&foreign, &trace).await.expect_err("refused");
        assert_eq!(error.cause(), Some(Cause::Config));
    }
}
