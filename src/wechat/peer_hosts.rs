//! Which host a try goes to, and what is written down of it.

use super::peer::{Peer, config, http, signed_json, wechat};
use super::trade::tests::attempt;
use super::v3::{Keyring, Trust, VerifyWith};
use super::{CloseAnswer, Exchange, PayConfig, Protocol, Trace, Version, Wechat, WechatConfig};
use crate::base::Clock;
use crate::base::rsa::PrivateKey;
use crate::web::Client;

/// WeChat with a first and a second host, and what was heard of a close.
async fn close_over(first: &str, second: Option<&str>, key: &PrivateKey) -> (bool, Vec<Exchange>) {
    let ring = Keyring::default().with_public_key("PUB_KEY_ID_1", key.public());
    let whole = config(first, Version::V3, Trust::of(VerifyWith::PublicKey, ring));
    let pay = PayConfig {
        base_2: second.map(str::to_owned),
        ..whole.pay
    };
    let wechat = Wechat::new(
        Client::new().expect("a client"),
        WechatConfig { pay, ..whole },
    );
    let clock = Clock::system();
    let trace = Trace::new(&clock);
    let answer = wechat.close(&attempt(Protocol::V3), &trace).await;
    (answer == Ok(CloseAnswer::Closed), trace.exchanges())
}

#[tokio::test]
async fn the_second_host_hears_what_the_first_could_not_take_under_a_fresh_signature() {
    let key = PrivateKey::generate();
    for broken in [http(502, "", ""), http(503, "", ""), String::new()] {
        let first = Peer::answering(vec![broken]);
        let second = Peer::answering(vec![signed_json(204, &key, "")]);
        let (closed, said) = close_over(&first.base, Some(&second.base), &key).await;
        assert!(closed, "{said:?}");
        let (one, two) = (first.heard().remove(0), second.heard().remove(0));
        let signature =
            |heard: &str| super::peer::header(heard, "authorization").map(str::to_owned);
        assert_ne!(signature(&one), signature(&two));
        assert_eq!(super::peer::body(&one), super::peer::body(&two));
        assert!(said[1].asked.ends_with("（备用域名）"), "{said:?}");
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_at_all_is_left_for_the_second() {
    let key = PrivateKey::generate();
    let second = Peer::answering(vec![signed_json(204, &key, "")]);
    let (closed, said) = close_over("http://127.0.0.1:1", Some(&second.base), &key).await;
    assert!(closed, "{said:?}");
    assert!(said[0].answered.contains("未能连接微信"), "{said:?}");
}

#[tokio::test]
async fn a_refusal_a_500_and_a_202_stay_with_the_first_host() {
    let key = PrivateKey::generate();
    let refused = http(400, "", r#"{"code":"PARAM_ERROR","message":"m"}"#);
    let first = Peer::answering(vec![refused]);
    let (closed, said) = close_over(&first.base, Some("http://127.0.0.1:1"), &key).await;
    assert!(!closed && said.len() == 1, "{said:?}");
    let busy = http(500, "", r#"{"code":"SYSTEM_ERROR","message":"m"}"#);
    let again = http(202, "", "");
    let first = Peer::answering(vec![busy, again, signed_json(204, &key, "")]);
    let (closed, said) = close_over(&first.base, Some("http://127.0.0.1:1"), &key).await;
    assert!(closed && said.len() == 3, "{said:?}");
}

#[tokio::test]
async fn without_a_second_host_the_first_is_asked_again() {
    let key = PrivateKey::generate();
    let first = Peer::answering(vec![http(503, "", ""), signed_json(204, &key, "")]);
    let (closed, said) = close_over(&first.base, None, &key).await;
    assert!(closed && said.len() == 2, "{said:?}");
}

#[tokio::test]
async fn what_is_written_down_of_a_prepay_names_no_openid_key_or_signature() {
    let paid = r#"{"code":"PARAM_ERROR","message":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o 无效",
        "detail":{"field":"/payer/openid","value":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}"#;
    let peer = Peer::answering(vec![http(400, "request-id: 08F2-1\r\n", paid)]);
    let wechat = wechat(&peer.base, Version::V3, Keyring::default());
    let wanted = super::v2::order::tests::wanted(crate::base::Timestamp::from_unix(1_767_196_830));
    let request = wechat.compose(&wanted).expect("composed");
    let clock = Clock::system();
    let trace = Trace::new(&clock);
    wechat.prepay(&request, &trace).await.expect_err("refused");
    let said = &trace.exchanges()[0];
    let asked = "POST /v3/pay/transactions/jsapi 商户订单号 20260101000X9G000000000000 \
                 订单金额 59.80 元";
    assert_eq!(said.asked, asked);
    let answered = "400 PARAM_ERROR oUpF… 无效（Request-ID 08F2-1）";
    assert_eq!(said.answered, answered);
}

#[tokio::test]
async fn an_answer_that_is_a_signature_probe_is_not_believed_and_asked_for_again() {
    let key = PrivateKey::generate();
    let good = signed_json(204, &key, "");
    let (head, _) = good
        .split_once("wechatpay-signature: ")
        .expect("a signature");
    let probe = format!("{head}wechatpay-signature: WECHATPAY/SIGNTEST/x\r\n\r\n");
    let first = Peer::answering(vec![probe, good]);
    let (closed, said) = close_over(&first.base, None, &key).await;
    assert!(closed && said.len() == 2, "{said:?}");
    assert!(said[0].answered.contains("签名探测"), "{said:?}");
}
