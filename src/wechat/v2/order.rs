//! v2's unified order (统一下单) and its second signing.

use crate::base::xml::Fields;
use crate::base::{PrepayId, Secret};
use crate::wechat::error::WechatError;
use crate::wechat::prepay::{PayParams, Payee, Protocol, SecondSigning, Wanted, description};

use super::sign::{SignType, sign};

/// The fields of a unified order, less `nonce_str` and `sign`: what is stored and repeated.
///
/// Source: 微信支付 APIv2 · 统一下单.
pub fn fields(payee: Payee<'_>, wanted: &Wanted, sign_type: SignType) -> Fields {
    let time_expire = wanted.time_expire(Protocol::v2(sign_type));
    Fields::from_iter([
        ("appid", payee.appid.to_string()),
        ("mch_id", payee.mchid.to_string()),
        ("sign_type", sign_type.as_str().to_owned()),
        ("body", description(&wanted.description)),
        ("out_trade_no", wanted.out_trade_no.clone()),
        ("fee_type", "CNY".to_owned()),
        ("total_fee", wanted.amount.get().to_string()),
        (
            "spbill_create_ip",
            wanted.client_ip.to_canonical().to_string(),
        ),
        ("time_start", wanted.created_at.compact()),
        ("time_expire", time_expire.compact()),
        ("notify_url", wanted.notify_url.clone()),
        ("trade_type", "JSAPI".to_owned()),
        ("openid", wanted.openid.to_string()),
    ])
}

/// The body that is sent: `fields` with `nonce_str` and `sign`, as XML.
pub fn signed_body(
    mut fields: Fields,
    nonce_str: String,
    key: &Secret<String>,
    sign_type: SignType,
) -> String {
    fields.set("nonce_str", nonce_str);
    let signature = sign(&fields, key, sign_type);
    fields.set("sign", signature);
    fields.to_xml()
}

/// The `prepay_id` in a believed answer.
///
/// # Errors
/// [`WechatError::Unknown`] when there is none.
pub fn read_prepay_id(answer: &Fields) -> Result<PrepayId, WechatError> {
    answer
        .text("prepay_id")
        .parse()
        .map_err(|_| WechatError::Unknown("应答里没有 prepay_id".to_owned()))
}

/// The object for `wx.requestPayment` of a v2 payment, signed with the digest of its order.
///
/// Source: 微信支付 APIv2 · 小程序调起支付API.
pub fn pay_params(
    signing: SecondSigning<'_>,
    key: &Secret<String>,
    sign_type: SignType,
) -> PayParams {
    let time_stamp = signing.now.unix().to_string();
    let package = format!("prepay_id={}", signing.prepay_id);
    let fields = Fields::from_iter([
        ("appId", signing.appid),
        ("timeStamp", &time_stamp),
        ("nonceStr", &signing.nonce_str),
        ("package", &package),
        ("signType", sign_type.as_str()),
    ]);
    let pay_sign = sign(&fields, key, sign_type);
    PayParams {
        time_stamp,
        nonce_str: signing.nonce_str,
        package,
        sign_type: sign_type.as_str().to_owned(),
        pay_sign,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;
    use crate::base::{Fen, Timestamp};
    use crate::wechat::v2::sign::{signing_string, verifies};
    use crate::wechat::vectors::{self, text};

    pub(crate) fn wanted(created_at: Timestamp) -> Wanted {
        Wanted {
            out_trade_no: "20260101000X9G000000000000".to_owned(),
            description: "商城订单🍎".to_owned(),
            amount: Fen::new(5980),
            openid: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".parse().unwrap(),
            notify_url: "https://shop.example.com/wx/pay/notify".to_owned(),
            time_expire: created_at.plus(std::time::Duration::from_secs(1800)),
            created_at,
            client_ip: Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().into(),
        }
    }

    #[test]
    fn every_pay_sign_vector_is_signed_as_it_says_and_the_trap_differs() {
        let all = vectors::v2("pay_sign");
        assert_eq!(all.len(), 3);
        for vector in &all {
            let key = Secret::from(text(vector, "key"));
            let sign_type: SignType = text(vector, "sign_type").parse().unwrap();
            let fields = vectors::fields(&vector["params"]);
            let string = signing_string(&fields, &key);
            assert_eq!(
                string.reveal(),
                text(vector, "string_to_sign"),
                "{}",
                vector["id"]
            );
            assert_eq!(sign(&fields, &key, sign_type), text(vector, "expected"));
            let value = |upper: &str, lower: &str| {
                let name = if fields.get(upper).is_some() {
                    upper
                } else {
                    lower
                };
                fields.text(name).to_owned()
            };
            let package = value("package", "package");
            let params = pay_params(
                SecondSigning {
                    appid: &value("appId", "appid"),
                    now: Timestamp::from_unix(value("timeStamp", "timestamp").parse().unwrap()),
                    nonce_str: value("nonceStr", "noncestr"),
                    prepay_id: &package.strip_prefix("prepay_id=").unwrap().parse().unwrap(),
                },
                &key,
                sign_type,
            );
            let trap = vector.get("must_differ_from").is_some();
            assert_eq!(
                params.pay_sign != text(vector, "expected"),
                trap,
                "{}",
                vector["id"]
            );
            if trap {
                let other = all.iter().find(|v| v["id"] == vector["must_differ_from"]);
                assert_eq!(params.pay_sign, text(other.unwrap(), "expected"));
            }
        }
    }

    #[test]
    fn a_repeat_differs_in_nonce_and_sign_only_and_verifies() {
        let (appid, mchid) = (
            "wx8888888888888888".parse().unwrap(),
            "1900000109".parse().unwrap(),
        );
        let payee = Payee {
            appid: &appid,
            mchid: &mchid,
        };
        let key = Secret::from("0123456789abcdefghijklmnopqrstuv");
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let wanted = wanted(Timestamp::from_unix(1_767_196_830));
            let stored = fields(payee, &wanted, sign_type).to_xml();
            let read = || Fields::parse(stored.as_bytes(), "xml").unwrap();
            let send = |nonce: &str| {
                let body = signed_body(read(), nonce.to_owned(), &key, sign_type);
                Fields::parse(body.as_bytes(), "xml").unwrap()
            };
            let (mut first, mut second) = (send("n1"), send("n2"));
            assert!(verifies(&first, &key, sign_type));
            assert!(verifies(&second, &key, sign_type));
            for message in [&mut first, &mut second] {
                message.remove("nonce_str");
                message.remove("sign");
            }
            assert_eq!(first, second);
            assert_eq!(first.text("body"), "商城订单");
            assert_eq!(first.text("spbill_create_ip"), "203.0.113.7");
            assert_eq!(first.text("total_fee"), "5980");
            assert_eq!(first.text("time_start"), "20260101000030");
            assert_eq!(first.text("time_expire"), "20260101003030");
        }
    }
}
