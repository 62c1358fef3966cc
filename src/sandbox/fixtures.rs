//! What the simulator's tables start from: one account, right requests of both protocols.

#![allow(clippy::unwrap_used)]

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::credentials::{Credentials, Keys};
use super::login::Known;
use super::sign_v2::{self, SignType};
use super::sign_v3::{Authorization, SCHEME, request_string};
use super::talk_v2;
use super::talk_v3::{self, Call};
use super::trades::Trades;
use super::{Sandbox, order_v2, order_v3};
use crate::base::rsa::PrivateKey;
use crate::base::xml::Fields;
use crate::base::{Clock, OpenId, Timestamp};
use crate::web::Client;

pub(super) const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";
pub(super) const SERIAL_ALTERED: &str = "0000000000000000000000000000000000000000";

/// 2026-01-01T00:00:30+08:00.
pub(super) fn now() -> Timestamp {
    Timestamp::from_unix(1_767_196_830)
}

struct Account {
    credentials: Credentials,
    keys: Keys,
    merchant: PrivateKey,
}

/// Made once: RSA keys take their time.
fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let credentials = Credentials::generate();
        Account {
            keys: credentials.keys().unwrap(),
            merchant: PrivateKey::from_pem(credentials.merchant_key_pem.reveal()).unwrap(),
            credentials,
        }
    })
}

pub(super) fn credentials() -> &'static Credentials {
    &account().credentials
}

pub(super) fn keys() -> &'static Keys {
    &account().keys
}

pub(super) fn merchant() -> &'static PrivateKey {
    &account().merchant
}

/// A simulator that knows [`OPENID`].
pub(super) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(
        Clock::system(),
        credentials().clone(),
        Client::new().unwrap(),
    )
    .unwrap();
    let openid = OPENID.parse().unwrap();
    let code = sandbox.book().logins.new_code(openid, None, now());
    assert_eq!(code.len(), 32);
    sandbox
}

fn knows(openid: &OpenId) -> Known {
    match openid.as_str() {
        OPENID => Known::Yes,
        _ => Known::No,
    }
}

/// A right v2 order with every documented field, unsigned.
pub(super) fn order_v2_fields(sign_type: SignType) -> Fields {
    Fields::new()
        .with("appid", credentials().appid.as_str())
        .with("mch_id", credentials().mchid.as_str())
        .with("device_info", "WEB")
        .with("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS")
        .with("sign_type", sign_type.name())
        .with("body", "掌柜商城-红富士苹果")
        .with("detail", "{\"goods_detail\":[]}")
        .with("attach", "门店=东&门店")
        .with("out_trade_no", "20260101000X9G000000000000")
        .with("fee_type", "CNY")
        .with("total_fee", "5980")
        .with("spbill_create_ip", "203.0.113.7")
        .with("time_start", "20260101000030")
        .with("time_expire", "20260101003030")
        .with("goods_tag", "NEW")
        .with("notify_url", "https://shop.example.com/wx/pay/notify")
        .with("trade_type", "JSAPI")
        .with("product_id", "P1")
        .with("limit_pay", "no_credit")
        .with("openid", OPENID)
        .with("receipt", "Y")
        .with("profit_sharing", "N")
        .with("scene_info", "{\"store_info\":{\"id\":\"1\"}}")
        .with("version", "1.0")
}

pub(super) fn signed_v2(mut fields: Fields, sign_type: SignType) -> Fields {
    fields.remove("sign");
    let sign = sign_v2::sign(&fields, &credentials().v2_key, sign_type);
    fields.with("sign", sign)
}

/// `OK`, or the code with which the document is refused.
pub(super) fn verdict_v2(trades: &mut Trades, document: &[u8], at: Timestamp) -> &'static str {
    let judged = talk_v2::read("POST", document).and_then(|fields| {
        let sign_type = talk_v2::prove(credentials(), &fields)?;
        talk_v2::check_appid(credentials(), &fields, sign_type)?;
        let order = order_v2::order(&fields, sign_type, &knows)?;
        let opened = trades.open(order, at);
        opened.map_err(|why| order_v2::not_opened(why, sign_type))
    });
    judged.map_or_else(|refused| refused.code, |_| "OK")
}

/// A right v3 body with every documented field.
pub(super) fn order_v3_body() -> Value {
    json!({
        "appid": credentials().appid,
        "mchid": credentials().mchid,
        "description": "掌柜商城-红富士苹果5斤装",
        "out_trade_no": "20260101000X9G000000000001",
        "time_expire": "2026-01-01T00:30:30+08:00",
        "attach": "门店=东门店",
        "notify_url": "https://shop.example.com/wx/pay/notify",
        "goods_tag": "NEW",
        "support_fapiao": false,
        "amount": {"total": 5980, "currency": "CNY"},
        "payer": {"openid": OPENID},
        "detail": {
            "cost_price": 6000,
            "invoice_id": "I1",
            "goods_detail": [{
                "merchant_goods_id": "1",
                "wechatpay_goods_id": "1001",
                "goods_name": "苹果",
                "quantity": 1,
                "unit_price": 5980,
            }],
        },
        "scene_info": {
            "payer_client_ip": "2001:db8::7",
            "device_id": "D1",
            "store_info": {"id": "1", "name": "东门店", "area_code": "440305", "address": "路"},
        },
        "settle_info": {"profit_sharing": false},
    })
}

/// A v3 call as it would lie on the wire; each part can be altered after signing.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) mchid: String,
    pub(super) serial_no: String,
    pub(super) nonce_str: String,
    pub(super) timestamp: String,
    pub(super) signature: String,
    pub(super) body: Vec<u8>,
}

impl Wire {
    /// The call that carries `body`, rightly signed at [`now`].
    pub(super) fn of(body: &Value) -> Self {
        Self::of_bytes(body.to_string().into_bytes()).signed()
    }

    pub(super) fn of_bytes(body: Vec<u8>) -> Self {
        Self {
            method: "POST",
            target: "/v3/pay/transactions/jsapi".to_owned(),
            mchid: credentials().mchid.to_string(),
            serial_no: credentials().merchant_serial.clone(),
            nonce_str: "7CCA1B82FED05EE26468BED4FECF9739".to_owned(),
            timestamp: now().unix().to_string(),
            signature: "x".to_owned(),
            body,
        }
    }

    /// The same call with the merchant's signature over what it says now.
    pub(super) fn signed(mut self) -> Self {
        let authorization = Authorization {
            mchid: &self.mchid,
            serial_no: &self.serial_no,
            nonce_str: &self.nonce_str,
            timestamp: &self.timestamp,
            signature: "",
        };
        let string = request_string((self.method, &self.target), &authorization, &self.body);
        self.signature = merchant().sign(&string);
        self
    }

    pub(super) fn authorization(&self) -> String {
        format!(
            "{SCHEME} mchid=\"{}\",serial_no=\"{}\",nonce_str=\"{}\",timestamp=\"{}\",\
             signature=\"{}\"",
            self.mchid, self.serial_no, self.nonce_str, self.timestamp, self.signature
        )
    }

    /// `("OK", "")`, or the code and the field with which the call is refused.
    pub(super) fn verdict(&self, trades: &mut Trades, at: Timestamp) -> (&'static str, String) {
        let authorization = self.authorization();
        let call = Call {
            method: self.method,
            target: &self.target,
            authorization: Some(&authorization),
            ..right_headers(&self.body)
        };
        verdict_v3(&call, trades, at)
    }
}

/// A call's headers, all right, without any signature.
pub(super) fn right_headers(body: &[u8]) -> Call<'_> {
    Call {
        accept: Some("application/json"),
        content_type: Some("application/json"),
        user_agent: Some("zhanggui/0"),
        wechatpay_serial: Some(&credentials().wechat_key_id),
        body,
        ..Call::default()
    }
}

pub(super) fn verdict_v3(
    call: &Call<'_>,
    trades: &mut Trades,
    at: Timestamp,
) -> (&'static str, String) {
    let judged = talk_v3::prove((credentials(), keys()), call, at)
        .and_then(|()| {
            talk_v3::check_headers(call, &|serial| serial == credentials().wechat_key_id)
        })
        .and_then(|()| order_v3::order(credentials(), call.body, &knows))
        .and_then(|order| trades.open(order, at).map_err(order_v3::not_opened));
    match judged {
        Ok(_) => ("OK", String::new()),
        Err(refused) => (refused.code, refused.field().to_owned()),
    }
}

/// `CODE field` of a body that is rightly signed at `at`.
pub(super) fn verdict_v3_at(trades: &mut Trades, body: &Value, at: Timestamp) -> String {
    let mut wire = Wire::of_bytes(body.to_string().into_bytes());
    wire.timestamp = at.unix().to_string();
    let (code, field) = wire.signed().verdict(trades, at);
    format!("{code} {field}").trim_end().to_owned()
}

/// The right v3 body with one value set.
pub(super) fn v3_with(pointer: &str, value: Value) -> Value {
    let mut body = order_v3_body();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    parent.insert(name.to_owned(), value);
    body
}

/// The right v3 body with one field taken out.
pub(super) fn v3_without(pointer: &str) -> Value {
    let mut body = order_v3_body();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    assert!(parent.remove(name).is_some(), "{pointer} stands there");
    body
}

/// The rows of a table written as text, their cells parted by ` | `.
pub(super) fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines.map(|line| line.split(" | ").map(str::trim).collect())
}

/// A paid or unpaid pair of orders, one a protocol, both opened at [`now`]: their prepay_ids.
pub(super) fn two_orders(trades: &mut Trades) -> [(String, String); 2] {
    let v2 = signed_v2(order_v2_fields(SignType::Md5), SignType::Md5).to_xml();
    assert_eq!(verdict_v2(trades, v2.as_bytes(), now()), "OK");
    assert_eq!(verdict_v3_at(trades, &order_v3_body(), now()), "OK");
    ["20260101000X9G000000000000", "20260101000X9G000000000001"].map(|number| {
        let prepay_id = trades.get(number).unwrap().prepay_id.to_string();
        (number.to_owned(), prepay_id)
    })
}
