//! v3's prepay (JSAPI/小程序下单) and its second signing. Pure.

use serde::{Deserialize, Serialize};

use crate::base::rsa::PrivateKey;
use crate::base::{Fen, PrepayId, Timestamp};
use crate::wechat::error::WechatError;
use crate::wechat::prepay::{PayParams, Payee, Protocol, SecondSigning, Wanted, description};

#[derive(Serialize)]
struct Body<'a> {
    appid: &'a str,
    mchid: &'a str,
    description: String,
    out_trade_no: &'a str,
    time_expire: String,
    notify_url: &'a str,
    amount: Amount,
    payer: Payer<'a>,
    scene_info: SceneInfo,
}

#[derive(Serialize)]
struct Amount {
    total: Fen,
    currency: &'static str,
}

#[derive(Serialize)]
struct Payer<'a> {
    openid: &'a str,
}

#[derive(Serialize)]
struct SceneInfo {
    payer_client_ip: String,
}

/// The exact body of a prepay: stored, sent and repeated byte for byte.
///
/// Source: 微信支付 APIv3 · JSAPI/小程序下单.
pub fn body(payee: Payee<'_>, wanted: &Wanted) -> String {
    let body = Body {
        appid: payee.appid.as_str(),
        mchid: payee.mchid.as_str(),
        description: description(&wanted.description),
        out_trade_no: &wanted.out_trade_no,
        time_expire: wanted.time_expire(Protocol::V3).rfc3339(),
        notify_url: &wanted.notify_url,
        amount: Amount {
            total: wanted.amount,
            currency: "CNY",
        },
        payer: Payer {
            openid: wanted.openid.as_str(),
        },
        scene_info: SceneInfo {
            payer_client_ip: wanted.client_ip.to_canonical().to_string(),
        },
    };
    serde_json::to_string(&body).expect("texts and a number have a JSON form")
}

/// The `prepay_id` in a verified answer.
///
/// # Errors
/// [`WechatError::Unknown`] when there is none.
pub fn read_prepay_id(answer: &[u8]) -> Result<PrepayId, WechatError> {
    #[derive(Deserialize)]
    struct Answer {
        prepay_id: PrepayId,
    }
    serde_json::from_slice::<Answer>(answer)
        .map(|answer| answer.prepay_id)
        .map_err(|_| WechatError::Unknown("应答里没有 prepay_id".to_owned()))
}

/// Four lines, each ended by LF. Source: 微信支付 APIv3 · 小程序调起支付签名.
pub fn second_signing_string(
    appid: &str,
    now: Timestamp,
    nonce_str: &str,
    prepay_id: &PrepayId,
) -> String {
    format!(
        "{appid}\n{}\n{nonce_str}\nprepay_id={prepay_id}\n",
        now.unix()
    )
}

/// The object for `wx.requestPayment` of a v3 payment.
///
/// Source: 微信支付 APIv3 · 小程序调起支付.
pub fn pay_params(signing: SecondSigning<'_>, key: &PrivateKey) -> PayParams {
    let string = second_signing_string(
        signing.appid,
        signing.now,
        &signing.nonce_str,
        signing.prepay_id,
    );
    PayParams {
        time_stamp: signing.now.unix().to_string(),
        nonce_str: signing.nonce_str,
        package: format!("prepay_id={}", signing.prepay_id),
        sign_type: "RSA".to_owned(),
        pay_sign: key.sign(string.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::wechat::v2::order::tests::wanted;
    use crate::wechat::vectors::{self, text};

    #[test]
    fn every_second_signing_vector_gives_its_object() {
        let (all, key) = (vectors::v3("pay_sign"), vectors::merchant_key());
        assert_eq!(all.len(), 3);
        for vector in &all {
            let prepay_id = text(vector, "prepay_id").parse().unwrap();
            let signing = SecondSigning {
                appid: text(vector, "appid"),
                now: Timestamp::from_unix(text(vector, "timestamp").parse().unwrap()),
                nonce_str: text(vector, "nonce_str").to_owned(),
                prepay_id: &prepay_id,
            };
            let string = second_signing_string(
                signing.appid,
                signing.now,
                &signing.nonce_str,
                signing.prepay_id,
            );
            assert_eq!(string, text(&vector["expected"], "string_to_sign"));
            let params = serde_json::to_value(pay_params(signing, &key)).unwrap();
            assert_eq!(
                params, vector["expected"]["request_payment"],
                "{}",
                vector["id"]
            );
        }
    }

    #[test]
    fn every_wrong_second_signing_is_refused() {
        let all = vectors::v3("pay_sign_negative");
        assert_eq!(all.len(), 4);
        for vector in &all {
            let key = vectors::public_key(text(vector, "verify_key"));
            let string = text(vector, "string_to_sign");
            assert!(!key.verifies(string.as_bytes(), text(vector, "signature")));
        }
    }

    #[test]
    fn the_body_holds_the_documented_fields_and_no_other() {
        let (appid, mchid) = (
            "wx8c7f1d2e3a4b5c6d".parse().unwrap(),
            "1900000109".parse().unwrap(),
        );
        let wanted = wanted(Timestamp::from_unix(1_767_196_830));
        let body = body(
            Payee {
                appid: &appid,
                mchid: &mchid,
            },
            &wanted,
        );
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = json!({
            "appid": "wx8c7f1d2e3a4b5c6d",
            "mchid": "1900000109",
            "description": "商城订单",
            "out_trade_no": "20260101000X9G000000000000",
            "time_expire": "2026-01-01T00:30:30+08:00",
            "notify_url": "https://shop.example.com/wx/pay/notify",
            "amount": {"total": 5980, "currency": "CNY"},
            "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
            "scene_info": {"payer_client_ip": "203.0.113.7"},
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn an_answer_without_a_prepay_id_is_unknown() {
        let read = |text: &str| read_prepay_id(text.as_bytes()).ok();
        assert_eq!(read(r#"{"prepay_id":"wx1","more":1}"#), "wx1".parse().ok());
        for text in ["{}", "", r#"{"prepay_id":""}"#, r#"{"prepay_id":1}"#, "[]"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
