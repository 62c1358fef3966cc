//! Judging a v2 answer in its three layers; the third, a state field, is each call's own.
//!
//! Source: 微信支付 APIv2 · 协议规则.

use crate::base::Secret;
use crate::base::xml::Fields;
use crate::wechat::error::{Cause, WechatError};
use crate::wechat::pay_error;
use crate::wechat::prepay::Payee;

use super::sign::{SignType, verifies};

/// Reads the answer to a signed call: return code, signature, whose it is, result code.
///
/// # Errors
/// [`WechatError::Refused`] when WeChat said no; [`WechatError::Unknown`] when the answer cannot
/// be read, or says yes or no under a signature that is not WeChat's.
pub fn read(
    body: &[u8],
    payee: Payee<'_>,
    key: &Secret<String>,
    sign_type: SignType,
) -> Result<Fields, WechatError> {
    let unknown = |why: &str| WechatError::Unknown(why.to_owned());
    let answer = Fields::parse(body, "xml").map_err(|e| unknown(&format!("应答无法读取：{e}")))?;
    match answer.text("return_code") {
        "SUCCESS" => {}
        "FAIL" => return Err(not_accepted(&answer)),
        _ => return Err(unknown("应答里没有 return_code")),
    }
    if !verifies(&answer, key, sign_type) {
        return Err(unknown("应答的签名不对"));
    }
    let ours = |name: &str, id: &str| answer.get(name).is_none_or(|value| value == id);
    if !ours("appid", payee.appid.as_str()) || !ours("mch_id", payee.mchid.as_str()) {
        return Err(unknown("应答属于别的 appid 或商户号"));
    }
    match answer.text("result_code") {
        "SUCCESS" => Ok(answer),
        "FAIL" => Err(refused(&answer)),
        _ => Err(unknown("应答里没有 result_code")),
    }
}

/// What `return_code=FAIL` means: the message itself was not accepted. It carries no signature.
fn not_accepted(answer: &Fields) -> WechatError {
    let said = answer.text("return_msg");
    let code = ["err_code", "error_code"]
        .iter()
        .map(|name| answer.text(name))
        .find(|code| !code.is_empty())
        .unwrap_or(said);
    let about_sign = said.contains("签名") || said.to_ascii_lowercase().contains("sign error");
    match pay_error::meaning(code) {
        // Unsigned: it may say what is wrong with us, never what became of an order.
        Some((cause, _)) if is_about_us(cause) => pay_error::error(code, said, Cause::BadRequest),
        Some(_) => WechatError::Unknown(format!("未签名的业务结论不能作数：{code} {said}")),
        None if about_sign => pay_error::error("SIGNERROR", said, Cause::Config),
        None => pay_error::error("FAIL", said, Cause::BadRequest),
    }
}

/// Whether a refusal is about the caller and not about an order or a refund.
fn is_about_us(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Config | Cause::NoPermission | Cause::BadRequest | Cause::RateLimited | Cause::Busy
    )
}

/// What `result_code=FAIL` means, by `err_code`.
fn refused(answer: &Fields) -> WechatError {
    let (code, said) = (answer.text("err_code"), answer.text("err_code_des"));
    // v2 has no code of its own for a repeat with other parameters, only this number in the words.
    if code == "INVALID_REQUEST" && said.split_whitespace().next() == Some("201") {
        return pay_error::params_changed(code, said);
    }
    pay_error::error(code, said, Cause::RuleLimit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wechat::v2::sign::sign;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuv";

    fn judge(body: &str) -> Result<Fields, WechatError> {
        let (appid, mchid) = (
            "wx8888888888888888".parse().unwrap(),
            "1900000109".parse().unwrap(),
        );
        let payee = Payee {
            appid: &appid,
            mchid: &mchid,
        };
        read(body.as_bytes(), payee, &Secret::from(KEY), SignType::Md5)
    }

    fn signed(more: &[(&str, &str)]) -> String {
        let mut fields = Fields::new()
            .with("return_code", "SUCCESS")
            .with("appid", "wx8888888888888888")
            .with("mch_id", "1900000109");
        for (name, value) in more {
            fields.set(name, *value);
        }
        let signature = sign(&fields, &Secret::from(KEY), SignType::Md5);
        fields.with("sign", signature).to_xml()
    }

    #[test]
    fn only_a_signed_success_of_ours_is_believed() {
        let good = signed(&[("result_code", "SUCCESS"), ("prepay_id", "wx1")]);
        assert_eq!(judge(&good).unwrap().text("prepay_id"), "wx1");
        let doubtful = [
            good.replace("wx1", "wx2"),
            good.replace("<sign>", "<sing>")
                .replace("</sign>", "</sing>"),
            signed(&[("result_code", "SUCCESS"), ("mch_id", "1900000110")]),
            signed(&[("result_code", "SUCCESS"), ("appid", "wx1")]),
            signed(&[("result_code", "MAYBE")]),
            signed(&[("return_code", "")]),
            "<html>502</html>".to_owned(),
            String::new(),
        ];
        for body in doubtful {
            assert!(
                matches!(judge(&body), Err(WechatError::Unknown(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn refusals_mean_what_their_code_says() {
        let fail = |code, said| {
            signed(&[
                ("result_code", "FAIL"),
                ("err_code", code),
                ("err_code_des", said),
            ])
        };
        let unsigned = |said: &str| {
            Fields::new()
                .with("return_code", "FAIL")
                .with("return_msg", said)
                .to_xml()
        };
        let table = [
            (fail("ORDERPAID", "该订单已支付"), Cause::OrderPaid),
            (
                fail("INVALID_REQUEST", "201 商户订单号重复"),
                Cause::ParamsChanged,
            ),
            (fail("INVALID_REQUEST", "参数错误 2011"), Cause::BadRequest),
            (fail("NEW_CODE", "?"), Cause::RuleLimit),
            (unsigned("签名错误"), Cause::Config),
            (unsigned("XML格式错误"), Cause::BadRequest),
        ];
        for (body, cause) in table {
            assert_eq!(judge(&body).unwrap_err().cause(), Some(cause), "{body}");
        }
    }

    #[test]
    fn a_system_error_leaves_the_outcome_unknown() {
        let signed = signed(&[("result_code", "FAIL"), ("err_code", "SYSTEMERROR")]);
        let unsigned = Fields::new()
            .with("return_code", "FAIL")
            .with("return_msg", "SYSTEMERROR")
            .to_xml();
        for body in [signed, unsigned] {
            assert!(
                matches!(judge(&body), Err(WechatError::Unknown(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn an_unsigned_refusal_never_says_what_became_of_an_order() {
        for code in [
            "ORDERPAID",
            "ORDERCLOSED",
            "ORDERNOTEXIST",
            "REFUNDNOTEXIST",
        ] {
            let body = Fields::new()
                .with("return_code", "FAIL")
                .with("err_code", code)
                .to_xml();
            assert!(
                matches!(judge(&body), Err(WechatError::Unknown(_))),
                "{code}"
            );
        }
    }

    #[test]
    fn a_refusal_under_a_foreign_signature_is_not_believed() {
        let body = signed(&[("result_code", "FAIL"), ("err_code", "ORDERCLOSED")]);
        let forged = body.replace("ORDERCLOSED", "ORDERPAID");
        assert!(matches!(judge(&forged), Err(WechatError::Unknown(_))));
    }
}
