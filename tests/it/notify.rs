//! Notifications made by hand: genuine ones taken from the tap, and forged ones.
//!
//! Source: 微信支付 APIv2 · 签名算法, 支付结果通知; 微信支付 APIv3 · 签名验证, 支付成功回调通知.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use serde_json::{Value, json};
use zhanggui::base::rsa::PrivateKey;
use zhanggui::base::xml::Fields;
use zhanggui::base::{cipher, hash};

use crate::http::{Message, Reply};
use crate::people::Buyer;
use crate::tap::{Fate, kept_headers};
use crate::world::World;

/// A message for the notify address.
#[derive(Clone, Debug)]
pub(crate) struct Notify {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl From<&Message> for Notify {
    fn from(message: &Message) -> Self {
        let kept = kept_headers(message).into_iter();
        let headers = kept
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            headers,
            body: message.body.clone(),
        }
    }
}

impl Notify {
    /// The same with another value for a header; an empty value takes it away.
    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed
            .headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            changed.headers.push((name.to_owned(), value.to_owned()));
        }
        changed
    }

    /// The same with one text of its body replaced, which must be there.
    pub(crate) fn with_body(&self, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.body.clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        Self {
            body: text.replacen(from, to, 1).into_bytes(),
            ..self.clone()
        }
    }
}

/// Whether WeChat would take this answer for "received".
pub(crate) fn acknowledges(reply: &Reply) -> bool {
    match reply.status {
        204 => true,
        200 => !reply.text().contains("FAIL") && reply.text().contains("SUCCESS"),
        _ => false,
    }
}

/// The notify of a payment that the server has not heard of yet.
#[track_caller]
pub(crate) fn held(world: &World, buyer: &Buyer, order_no: &str) -> Notify {
    let before = world.notifies.passed("/wx/pay/notify").len();
    world.notifies.next(Fate::Held, 1);
    world.wechat.pays(&buyer.pay(order_no));
    let passed = world.notifies.passed("/wx/pay/notify");
    assert_eq!(passed.len(), before + 1);
    Notify::from(&passed[before].request)
}

/// A v2 notify's fields, to be changed and signed again.
pub(crate) fn fields(notify: &Notify) -> Fields {
    Fields::parse(&notify.body, "xml").unwrap()
}

/// A v2 notify of these fields, signed with `key` by MD5 or HMAC-SHA256.
pub(crate) fn v2(fields: &Fields, key: &str, sign_type: &str) -> Notify {
    let mut pairs: Vec<(&str, &str)> = fields
        .iter()
        .filter(|(name, value)| *name != "sign" && !value.is_empty())
        .collect();
    pairs.sort_unstable();
    let mut text: String = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}&"))
        .collect();
    text += &format!("key={key}");
    let sign = match sign_type {
        "MD5" => hash::md5_hex_upper(text.as_bytes()),
        _ => hash::hmac_sha256_hex_upper(key.as_bytes(), text.as_bytes()),
    };
    let body = fields.clone().with("sign", sign).to_xml().into_bytes();
    Notify {
        headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
        body,
    }
}

/// What a v3 notify is made of.
pub(crate) struct V3 {
    pub(crate) key: String,
    pub(crate) serial: String,
    pub(crate) private_key: PrivateKey,
    pub(crate) event_type: &'static str,
    /// Unix seconds.
    pub(crate) at: i64,
}

impl V3 {
    /// As WeChat would make it now.
    pub(crate) fn genuine(world: &World) -> Self {
        Self {
            key: world.setting("wechat.pay", "v3_key").unwrap(),
            serial: world.setting("wechat.pay", "wechat_public_key_id").unwrap(),
            private_key: world.wechat.private_key(),
            event_type: "TRANSACTION.SUCCESS",
            at: now(),
        }
    }

    /// Encrypts and signs a transaction.
    pub(crate) fn notify(&self, transaction: &Value) -> Notify {
        let (nonce, about) = ("abcdefghijkl", "transaction");
        let text = transaction.to_string();
        let sealed = cipher::gcm_seal(
            self.key.as_bytes(),
            nonce.as_bytes(),
            about.as_bytes(),
            text.as_bytes(),
        );
        let body = json!({
            "id": "EV-2018022511223320873",
            "create_time": "2026-01-01T12:00:00+08:00",
            "resource_type": "encrypt-resource",
            "event_type": self.event_type,
            "summary": "支付成功",
            "resource": {
                "original_type": "transaction",
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": BASE64.encode(&sealed.unwrap()),
                "associated_data": about,
                "nonce": nonce,
            },
        });
        self.sign(body.to_string())
    }

    fn sign(&self, body: String) -> Notify {
        let (at, nonce) = (self.at, "5K8264ILTKCH16CQ2502SI8ZNMTM67VS");
        let signature = self
            .private_key
            .sign(format!("{at}\n{nonce}\n{body}\n").as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("wechatpay-serial", &self.serial),
            ("wechatpay-timestamp", &at.to_string()),
            ("wechatpay-nonce", nonce),
            ("wechatpay-signature", &signature),
            ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Notify {
            headers: headers.into(),
            body: body.into_bytes(),
        }
    }
}

/// The transaction WeChat would notify for an order of this total.
pub(crate) fn transaction(world: &World, buyer: &Buyer, order_no: &str, total: u64) -> Value {
    json!({
        "appid": world.setting("wechat", "appid").unwrap(),
        "mchid": world.setting("wechat.pay", "mchid").unwrap(),
        "out_trade_no": order_no,
        "transaction_id": format!("42000000{:020}", now()),
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "OTHERS",
        "attach": "",
        "success_time": "2026-01-01T12:00:00+08:00",
        "payer": { "openid": buyer.openid },
        "amount": {
            "total": total,
            "payer_total": total,
            "currency": "CNY",
            "payer_currency": "CNY",
        },
    })
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
