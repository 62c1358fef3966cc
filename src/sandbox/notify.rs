//! Builds payment notifies, right ones and the wrong ones a fault asks for. Sends nothing.

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

use super::credentials::Credentials;
use super::sign_v2::{self, SignType};
use super::sign_v3::wechatpay_headers;
use super::trades::{Payment, Protocol, Trade};
use crate::base::rsa::PrivateKey;
use crate::base::secret::{random, random_text};
use crate::base::xml::Fields;
use crate::base::{Fen, Timestamp, cipher};
use crate::web::{Incoming, Method, Outgoing};

/// What became of a notify so far.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// Every delivery of it carries the same.
    pub(super) id: String,
    /// How many deliveries were attempted.
    pub(super) deliveries: usize,
    /// The HTTP status of the last delivery that was answered.
    pub(super) last_status: Option<u16>,
    /// When the merchant first took it.
    pub(super) accepted_at: Option<Timestamp>,
    /// Whether a delay was played on it; it is played once.
    pub(super) delayed: bool,
}

impl Notice {
    pub(super) fn new() -> Self {
        Self {
            id: format!("EV-{}", HEXLOWER.encode(&random::<16>())),
            deliveries: 0,
            last_status: None,
            accepted_at: None,
            delayed: false,
        }
    }
}

/// Who tells: the account, and the key that signs a v3 notify.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) key: &'a PrivateKey,
    pub(super) serial: &'a str,
}

/// What a notify says; each wrong kind is wrong in one thing only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    Truth,
    BadSign,
    WrongAmount,
    WrongAppid,
    Probe,
}

/// The appid of another mini program.
pub(super) const FOREIGN_APPID: &str = "wxffffffffffffffff";

struct Told {
    appid: String,
    total: Fen,
}

fn told(trade: &Trade, credentials: &Credentials, telling: Telling) -> Told {
    let (appid, total) = (credentials.appid.to_string(), trade.order.total);
    match telling {
        Telling::Truth | Telling::BadSign | Telling::Probe => Told { appid, total },
        Telling::WrongAmount => Told {
            appid,
            total: total.checked_add(Fen::new(1)).unwrap_or(Fen::new(1)),
        },
        Telling::WrongAppid => Told {
            appid: FOREIGN_APPID.to_owned(),
            total,
        },
    }
}

/// The notify of one payment, in the protocol of its order.
pub(super) fn build(
    whose: &Whose<'_>,
    (trade, payment): (&Trade, &Payment),
    telling: Telling,
    now: Timestamp,
) -> Outgoing {
    let credentials = whose.credentials;
    let told = told(trade, credentials, telling);
    let (headers, body) = match trade.order.protocol {
        Protocol::V2(sign_type) => {
            let mut fields = v2_fields((trade, payment), &told, credentials);
            fields.set("sign", v2_sign(&fields, credentials, sign_type, telling));
            let headers = vec![("Content-Type", "text/xml".to_owned())];
            (headers, fields.to_xml().into_bytes())
        }
        Protocol::V3 => {
            let body = v3_body((trade, payment), &told, credentials);
            let mut headers = wechatpay_headers(whose.key, whose.serial, now, &body);
            misled(&mut headers, telling);
            headers.push(("Content-Type", "application/json".to_owned()));
            (headers, body)
        }
    };
    Outgoing {
        method: Method::POST,
        url: trade.order.notify_url.clone(),
        headers,
        body,
    }
}

/// Source: 微信支付 APIv2 · 支付结果通知.
fn v2_fields(
    (trade, payment): (&Trade, &Payment),
    told: &Told,
    credentials: &Credentials,
) -> Fields {
    let start = Fields::new()
        .with("return_code", "SUCCESS")
        .with("appid", &*told.appid)
        .with("mch_id", credentials.mchid.as_str())
        .with("nonce_str", random_text(32))
        .with("result_code", "SUCCESS");
    let payment = payment_fields((trade, payment), told.total);
    payment
        .iter()
        .fold(start, |fields, (name, value)| fields.with(name, value))
}

/// What v2 tells of a payment, in notifies and to queries.
///
/// Source: 微信支付 APIv2 · 支付结果通知; 查询订单.
pub(super) fn payment_fields((trade, payment): (&Trade, &Payment), total: Fen) -> Fields {
    let total = total.get().to_string();
    let mut fields = Fields::new()
        .with("openid", trade.order.openid.as_str())
        .with("is_subscribe", "N")
        .with("trade_type", "JSAPI")
        .with("bank_type", "OTHERS")
        .with("total_fee", &*total)
        .with("fee_type", "CNY")
        .with("cash_fee", &*total)
        .with("transaction_id", payment.transaction_id.as_str())
        .with("out_trade_no", &*trade.order.out_trade_no)
        .with("time_end", payment.success_at.compact());
    if let Some(attach) = &trade.order.attach {
        fields.set("attach", &**attach);
    }
    fields
}

fn v2_sign(
    fields: &Fields,
    credentials: &Credentials,
    sign_type: SignType,
    telling: Telling,
) -> String {
    match telling {
        Telling::BadSign => {
            let forged = random_text(32).as_str().into();
            sign_v2::sign(fields, &forged, sign_type)
        }
        Telling::Probe => new_probe(),
        Telling::Truth | Telling::WrongAmount | Telling::WrongAppid => {
            sign_v2::sign(fields, &credentials.v2_key, sign_type)
        }
    }
}

/// The envelope around the sealed payment. Source: 微信支付 APIv3 · 支付成功回调通知.
fn v3_body(
    (trade, payment): (&Trade, &Payment),
    told: &Told,
    credentials: &Credentials,
) -> Vec<u8> {
    let plain = v3_plain((trade, payment), told, credentials);
    let head = json!({
        "id": payment.notice.id,
        "create_time": payment.success_at.rfc3339(),
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
    });
    sealed_envelope(credentials, head, ("transaction", &plain))
}

/// The envelope with its resource sealed under the APIv3 key.
///
/// Source: 微信支付 APIv3 · 如何解密回调报文.
pub(super) fn sealed_envelope(
    credentials: &Credentials,
    mut head: Value,
    (kind, plain): (&str, &Value),
) -> Vec<u8> {
    head["resource_type"] = json!("encrypt-resource");
    head["resource"] = sealed_resource(credentials, kind, plain.to_string().as_bytes());
    head["resource"]["original_type"] = json!(kind);
    head.to_string().into_bytes()
}

/// `algorithm`, `ciphertext`, `associated_data` and `nonce` of a sealed text.
pub(super) fn sealed_resource(credentials: &Credentials, kind: &str, plain: &[u8]) -> Value {
    let (key, nonce) = (credentials.v3_key.reveal().as_bytes(), random_text(12));
    let sealed = cipher::gcm_seal(key, nonce.as_bytes(), kind.as_bytes(), plain)
        .expect("32-byte key, 12-byte nonce");
    json!({
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": BASE64.encode(&sealed),
        "associated_data": kind,
        "nonce": nonce,
    })
}

/// The payment itself. Source: 微信支付 APIv3 · 支付成功回调通知, 解密后的报文.
fn v3_plain((trade, payment): (&Trade, &Payment), told: &Told, credentials: &Credentials) -> Value {
    let mut plain = payment_object((trade, payment), told.total);
    plain["appid"] = json!(told.appid);
    plain["mchid"] = json!(credentials.mchid);
    plain
}

/// What v3 tells of a payment, in notifies and to queries.
///
/// Source: 微信支付 APIv3 · 支付成功回调通知; 查询订单.
pub(super) fn payment_object((trade, payment): (&Trade, &Payment), total: Fen) -> Value {
    let mut plain = json!({
        "out_trade_no": trade.order.out_trade_no,
        "transaction_id": payment.transaction_id,
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "OTHERS",
        "success_time": payment.success_at.rfc3339(),
        "payer": {"openid": trade.order.openid},
        "amount": {
            "total": total,
            "payer_total": total,
            "currency": "CNY",
            "payer_currency": "CNY",
        },
    });
    if let Some(attach) = &trade.order.attach {
        plain["attach"] = json!(attach);
    }
    plain
}

/// Spoils the signature of a v3 notify where `telling` asks for it.
pub(super) fn misled(headers: &mut [(&'static str, String)], telling: Telling) {
    match telling {
        Telling::BadSign => spoil(headers),
        Telling::Probe => probe(headers),
        Telling::Truth | Telling::WrongAmount | Telling::WrongAppid => {}
    }
}

/// A signature by which WeChat finds out who does not verify; not always decodable.
///
/// Source: 微信支付 APIv3 · 签名探测.
pub(super) fn new_probe() -> String {
    format!("WECHATPAY/SIGNTEST/{}", random_text(325))
}

/// Puts a probe in place of the signature.
pub(super) fn probe(headers: &mut [(&'static str, String)]) {
    for (name, value) in headers {
        if *name == "Wechatpay-Signature" {
            *value = new_probe();
        }
    }
}

/// Makes the signature one of another text, still decodable.
pub(super) fn spoil(headers: &mut [(&'static str, String)]) {
    for (name, value) in headers {
        if *name == "Wechatpay-Nonce" {
            *value = random_text(32);
        }
    }
}

/// Whether the merchant took the notify. Source: 微信支付 APIv2 · 支付结果通知; APIv3 · 回调通知注意事项.
pub(super) fn is_accepted(protocol: Protocol, answer: &Incoming) -> bool {
    match protocol {
        Protocol::V2(_) => {
            let fields = Fields::parse(&answer.body, "xml").unwrap_or_default();
            answer.status == 200 && fields.text("return_code") == "SUCCESS"
        }
        Protocol::V3 => matches!(answer.status, 200 | 204),
    }
}
