//! v2's notifications: what they say, how they are answered, and the sealed part of a refund's.

use data_encoding::BASE64;

use crate::base::xml::Fields;
use crate::base::{Fen, Secret, Timestamp, cipher, hash};
use crate::wechat::notify::NotifyRefusal;
use crate::wechat::paid::PaidNotice;
use crate::wechat::prepay::Protocol;
use crate::wechat::refund::RefundNotice;

use super::refund::read_notice;
use super::sign::{SignType, V2Keys, verifies};

/// The reply that ends WeChat's retries. Source: 微信支付 APIv2 · 支付结果通知.
pub fn success() -> String {
    reply("SUCCESS", "OK")
}

/// A reply after which WeChat sends the notification again. `reason` is for WeChat's log only.
pub fn fail(reason: &str) -> String {
    reply("FAIL", reason)
}

fn reply(return_code: &str, return_msg: &str) -> String {
    Fields::new()
        .with("return_code", return_code)
        .with("return_msg", return_msg)
        .to_xml()
}

/// Verifies a payment notification and reads what was paid.
///
/// # Errors
/// [`NotifyRefusal`], by the first check that fails: signature, both result codes, fields.
///
/// Source: 微信支付 APIv2 · 支付结果通知.
pub fn read_paid(
    fields: &Fields,
    key: &Secret<String>,
    sign_type: SignType,
) -> Result<PaidNotice, NotifyRefusal> {
    if !verifies(fields, key, sign_type) {
        return Err(NotifyRefusal::BadSignature);
    }
    let succeeded = |name: &str| fields.text(name) == "SUCCESS";
    if !succeeded("return_code") || !succeeded("result_code") {
        return Err(NotifyRefusal::NotPaid);
    }
    let bad = |name: &'static str| move |_| NotifyRefusal::Unreadable(name);
    let openid = fields.get("openid").filter(|openid| !openid.is_empty());
    Ok(PaidNotice {
        protocol: Protocol::v2(sign_type),
        appid: fields.text("appid").parse().map_err(bad("appid"))?,
        mchid: fields.text("mch_id").parse().map_err(bad("mch_id"))?,
        out_trade_no: fields.text("out_trade_no").to_owned(),
        transaction_id: fields
            .text("transaction_id")
            .parse()
            .map_err(bad("transaction_id"))?,
        amount: Fen::from_digits(fields.text("total_fee"))
            .ok_or(NotifyRefusal::Unreadable("total_fee"))?,
        currency: match fields.text("fee_type") {
            "" => "CNY".to_owned(),
            currency => currency.to_owned(),
        },
        openid: openid.map(str::parse).transpose().map_err(bad("openid"))?,
        paid_at: Timestamp::from_compact(fields.text("time_end")),
    })
}

/// Opens a refund notification and reads what became of the refund.
///
/// # Errors
/// [`NotifyRefusal`], by the first check that fails.
///
/// Source: 微信支付 APIv2 · 退款结果通知.
pub fn open_refund(body: &[u8], keys: &V2Keys) -> Result<RefundNotice, NotifyRefusal> {
    let outer = Fields::parse(body, "xml").map_err(|_| NotifyRefusal::Unreadable("XML"))?;
    let req_info = outer.get("req_info").ok_or(NotifyRefusal::NotARefund)?;
    let plain = open_req_info(req_info, &keys.key)?;
    let read = read_notice(&plain);
    let (state, from_platform) = read.map_err(|_| NotifyRefusal::Unreadable("req_info"))?;
    Ok(RefundNotice {
        protocol: Protocol::v2(keys.sign_type),
        mchid: outer.text("mch_id").to_owned(),
        state,
        from_platform,
    })
}

/// Opens the `req_info` of a refund notification, which has no signature: that it opens under our
/// key is all its authenticity, and it is little, so the refund is queried before money moves.
///
/// # Errors
/// [`NotifyRefusal::CannotOpen`], whatever is wrong.
///
/// Source: 微信支付 APIv2 · 退款结果通知.
pub fn open_req_info(req_info: &str, key: &Secret<String>) -> Result<Fields, NotifyRefusal> {
    if key.is_empty() {
        return Err(NotifyRefusal::NotConfigured);
    }
    let aes_key = Secret::new(hash::md5_hex(key.reveal().as_bytes()));
    let plain = open_with(req_info, aes_key.reveal()).ok_or(NotifyRefusal::CannotOpen)?;
    Fields::parse(&plain, "root").map_err(|_| NotifyRefusal::CannotOpen)
}

fn open_with(req_info: &str, aes_key: &str) -> Option<Vec<u8>> {
    let sealed = BASE64.decode(req_info.as_bytes()).ok()?;
    cipher::ecb256_open(aes_key.as_bytes(), &sealed).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wechat::v2::sign::sign;
    use crate::wechat::vectors::{self, text};

    #[test]
    fn the_reply_vector_is_what_we_answer() {
        let all = vectors::v2("notify_reply");
        assert_eq!(all.len(), 1);
        assert_eq!(success(), text(&all[0], "expected"));
    }

    #[test]
    fn every_refund_vector_opens_to_its_fields() {
        let all = vectors::v2("refund_req_info");
        assert_eq!(all.len(), 3);
        for vector in &all {
            let key = Secret::from(text(vector, "api_key"));
            let aes_key = hash::md5_hex(key.reveal().as_bytes());
            assert_eq!(aes_key, text(vector, "aes_key_ascii"));
            let req_info = text(vector, "req_info");
            let plain = open_with(req_info, &aes_key).unwrap();
            assert_eq!(plain, text(vector, "plaintext").as_bytes());
            assert_eq!(plain.len(), vector["plaintext_bytes"]);
            let fields = open_req_info(req_info, &key).unwrap();
            let expected = vectors::fields(&vector["fields"]);
            assert_eq!(vectors::sorted(&fields), vectors::sorted(&expected));
        }
    }

    #[test]
    fn every_bad_refund_vector_is_refused_without_panic() {
        let all = vectors::v2("refund_req_info_negative");
        assert_eq!(all.len(), 4);
        for vector in &all {
            let req_info = text(vector, "req_info");
            if let Some(aes_key) = vector["aes_key_ascii"].as_str() {
                assert_eq!(open_with(req_info, aes_key), None, "{}", vector["id"]);
                continue;
            }
            let key = Secret::from(text(vector, "api_key"));
            let opened = open_req_info(req_info, &key);
            assert_eq!(opened, Err(NotifyRefusal::CannotOpen), "{}", vector["id"]);
        }
    }

    #[test]
    fn a_notice_is_read_only_when_signed_and_twice_successful() {
        let key = Secret::from("0123456789abcdefghijklmnopqrstuv");
        let fields = vectors::fields(&vectors::v2("xml_parse")[0]["expected"]);
        let notice = read_paid(&fields, &key, SignType::Md5).unwrap();
        assert_eq!(notice.amount, Fen::new(888));
        assert_eq!(notice.currency, "CNY");
        assert_eq!(notice.out_trade_no, "T20260101000001");
        assert_eq!(notice.paid_at, Timestamp::from_compact("20260101123000"));
        let resigned = |name: &str, value: &str| {
            let changed = fields.clone().with(name, value);
            let signature = sign(&changed, &key, SignType::Md5);
            read_paid(&changed.with("sign", signature), &key, SignType::Md5)
        };
        assert_eq!(resigned("result_code", "FAIL"), Err(NotifyRefusal::NotPaid));
        assert_eq!(resigned("return_code", ""), Err(NotifyRefusal::NotPaid));
        for amount in ["", "-1", "8.88", "0888", "99999999999999999999"] {
            let bad = Err(NotifyRefusal::Unreadable("total_fee"));
            assert_eq!(resigned("total_fee", amount), bad, "{amount:?}");
        }
        assert_eq!(
            resigned("transaction_id", ""),
            Err(NotifyRefusal::Unreadable("transaction_id"))
        );
        let altered = fields.with("total_fee", "1");
        let refused = read_paid(&altered, &key, SignType::Md5);
        assert_eq!(refused, Err(NotifyRefusal::BadSignature));
    }
}
