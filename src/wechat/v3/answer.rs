//! Judging a v3 answer: is it WeChat's, and what does a refusal mean. Pure.
//!
//! Source: 微信支付 APIv3 · 如何验证签名, HTTP状态码, 业务错误码.

use serde::Deserialize;

use crate::base::Timestamp;
use crate::wechat::error::{Cause, WechatError};
use crate::wechat::pay_error;

use super::verify::{Keyring, SignatureHeaders};

/// An answer as it came.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers WeChat signs with.
    pub headers: SignatureHeaders<'a>,
    /// `Request-ID`, by which WeChat finds the call.
    pub request_id: Option<&'a str>,
    /// The exact body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// Judges the answer; its body may be read after `Ok`.
    ///
    /// Only 200 and 204 are a yes, and only under WeChat's signature. An error answer may be
    /// unsigned, so the caller queries before it gives an order up because of one.
    ///
    /// # Errors
    /// [`WechatError::Refused`] by code, else by status; [`WechatError::Unknown`] for 202, 5xx and
    /// whatever does not verify.
    pub fn judge(&self, keys: &Keyring, now: Timestamp) -> Result<(), WechatError> {
        match self.status {
            200 | 204 => self
                .headers
                .verify(self.body, keys, now)
                .map_err(|fault| WechatError::Unknown(format!("应答验签失败：{fault}"))),
            400..=499 => Err(self.refused()),
            500..=599 => Err(self.failed()),
            status => Err(WechatError::Unknown(format!("HTTP {status}"))),
        }
    }

    /// A 4xx: by code, for an undocumented one by status.
    fn refused(&self) -> WechatError {
        let otherwise = match self.status {
            401 => Cause::Config,
            403 => Cause::RuleLimit,
            404 => Cause::OrderNotFound,
            429 => Cause::RateLimited,
            _ => Cause::BadRequest,
        };
        let problem = self.problem();
        let said = self.said(&problem);
        if self.cause_number() == Some("268498688") {
            return pay_error::params_changed(&problem.code, &said);
        }
        let code = self.refined(&problem).unwrap_or(&problem.code);
        pay_error::error(code, &said, otherwise)
    }

    /// The code that the number behind the request id stands for, where it says more than the
    /// answer's own: INVALID_REQUEST is several things, of which only the number tells which. A
    /// code with one meaning keeps it, for it is what the operator looks up.
    fn refined(&self, problem: &Problem) -> Option<&'static str> {
        let is_vague = match pay_error::meaning(&problem.code) {
            Some((cause, _)) => cause == Cause::BadRequest,
            None => true,
        };
        let number = self.cause_number().filter(|_| is_vague)?;
        // "Illegal parameter" says less than any code: STATEMENT_CREATING must stay itself.
        numbered(number).filter(|code| *code != "PARAMERROR" || problem.code.is_empty())
    }

    /// A 5xx: unknown, but for the few codes that old pages list under 500.
    fn failed(&self) -> WechatError {
        let problem = self.problem();
        let said = self.said(&problem);
        match pay_error::meaning(&problem.code) {
            Some(_) => pay_error::error(&problem.code, &said, Cause::Busy),
            None => WechatError::Unknown(format!("HTTP {} {} {said}", self.status, problem.code)),
        }
    }

    fn problem(&self) -> Problem {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    /// `Request-ID` is `<id>-<n>`. Source: 微信支付 APIv3 · 常见问题排查.
    fn cause_number(&self) -> Option<&str> {
        self.request_id?.rsplit_once('-').map(|(_, number)| number)
    }

    fn said(&self, problem: &Problem) -> String {
        let mut said = problem.message.clone();
        if let Some(field) = problem
            .detail
            .as_ref()
            .and_then(|detail| detail.field.as_ref())
        {
            said.push_str(&format!(" [{field}]"));
        }
        if let Some(id) = self.request_id {
            said.push_str(&format!(" [Request-ID {id}]"));
        }
        said
    }
}

/// The code that a number behind a request id stands for.
///
/// Source: 微信支付 APIv3 · 常见问题排查 (Request-ID 后缀).
fn numbered(number: &str) -> Option<&'static str> {
    Some(match number {
        "268498689" | "268449538" => "ORDERPAID",
        "268447914" => "ORDERCLOSED",
        "268512771" => "ORDERNOTEXIST",
        "268447840" => "FREQUENCYLIMITED",
        "268443715" | "268448010" => "NOAUTH",
        "268449641" => "TRADESTATEERROR",
        "268443699" => "SIGNERROR",
        "268445527" => "APPIDMCHIDNOTMATCH",
        "268435461" | "268435464" | "268501013" | "270924358" => "PARAMERROR",
        _ => return None,
    })
}

/// The body of an error answer; all of it may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    message: String,
    detail: Option<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    field: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wechat::vectors::{self, text};

    #[test]
    fn every_answer_vector_is_judged_as_it_says() {
        let all = vectors::v3("response_verify");
        assert_eq!(all.len(), 21);
        for vector in &all {
            let headers = vectors::signature_headers(&vector["headers"]);
            let keys = vectors::keyring(&vector["trust"]);
            let now = Timestamp::from_unix(vector["now_unix"].as_i64().unwrap());
            let body = text(vector, "body").as_bytes();
            let verdict = headers.verify(body, &keys, now);
            let expected = &vector["expected"];
            let class = verdict.err().map(vectors::class);
            assert_eq!(class, expected["reason"].as_str(), "{}", vector["id"]);
            let status = u16::try_from(vector["http_status"].as_u64().unwrap()).unwrap();
            let answer = Answer {
                status,
                headers,
                request_id: None,
                body,
            };
            let accepted = expected["result"] == "accept";
            match answer.judge(&keys, now) {
                Ok(()) => assert!(accepted, "{}", vector["id"]),
                Err(WechatError::Unknown(_)) => assert!(!accepted, "{}", vector["id"]),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_signed_answer_is_a_yes_under_200_and_204_only() {
        let vector = &vectors::v3("response_verify")[0];
        let keys = vectors::keyring(&vector["trust"]);
        let now = Timestamp::from_unix(vector["now_unix"].as_i64().unwrap());
        for (status, yes) in [
            (200, true),
            (204, true),
            (201, false),
            (202, false),
            (302, false),
        ] {
            let answer = Answer {
                status,
                headers: vectors::signature_headers(&vector["headers"]),
                request_id: None,
                body: text(vector, "body").as_bytes(),
            };
            assert_eq!(answer.judge(&keys, now).is_ok(), yes, "{status}");
        }
    }

    fn judge(status: u16, body: &str, request_id: Option<&str>) -> WechatError {
        let headers = SignatureHeaders::read(|_| None);
        let answer = Answer {
            status,
            headers,
            request_id,
            body: body.as_bytes(),
        };
        answer
            .judge(&Keyring::default(), Timestamp::from_unix(0))
            .unwrap_err()
    }

    #[test]
    fn a_refusal_means_what_its_code_says_else_its_status() {
        let code = |code: &str| format!("{{\"code\":\"{code}\",\"message\":\"m\"}}");
        let table = [
            (400, code("ORDER_CLOSED"), Cause::OrderClosed),
            (400, code("ORDERPAID"), Cause::OrderPaid),
            (400, code("APPID_MCHID_NOT_MATCH"), Cause::Config),
            (400, code("INVALID_REQUEST"), Cause::BadRequest),
            (401, code("SIGN_ERROR"), Cause::Config),
            (403, code("OUT_TRADE_NO_USED"), Cause::ParamsChanged),
            (403, code("NO_AUTH"), Cause::NoPermission),
            (403, code("RULELIMIT"), Cause::RuleLimit),
            (404, code("ORDER_NOT_EXIST"), Cause::OrderNotFound),
            (429, code("FREQUENCY_LIMITED"), Cause::RateLimited),
            (500, code("OPENID_MISMATCH"), Cause::OpenIdMismatch),
            (400, code("NEW"), Cause::BadRequest),
            (401, String::new(), Cause::Config),
            (403, "<html>".to_owned(), Cause::RuleLimit),
            (404, code("NEW"), Cause::OrderNotFound),
            (429, "[]".to_owned(), Cause::RateLimited),
        ];
        for (status, body, cause) in table {
            assert_eq!(
                judge(status, &body, None).cause(),
                Some(cause),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn the_request_id_tells_what_an_invalid_request_is() {
        let body = r#"{"code":"INVALID_REQUEST","message":"m"}"#;
        let table = [
            ("08F2-268498688", Cause::ParamsChanged),
            ("08F2-268498689", Cause::OrderPaid),
            ("08F2-268447914", Cause::OrderClosed),
            ("08F2-268449538", Cause::OrderPaid),
            ("08F2-268512771", Cause::OrderNotFound),
            ("08F2-268447840", Cause::RateLimited),
            ("08F2-268443715", Cause::NoPermission),
            ("08F2-268448010", Cause::NoPermission),
            ("08F2-268449641", Cause::RuleLimit),
            ("08F2-268443699", Cause::Config),
            ("08F2-268445527", Cause::Config),
            ("08F2-268435461", Cause::BadRequest),
            ("08F2-268435464", Cause::BadRequest),
            ("08F2-270924358", Cause::BadRequest),
            ("08F2-1", Cause::BadRequest),
            ("08F2", Cause::BadRequest),
        ];
        for (request_id, cause) in table {
            let error = judge(400, body, Some(request_id));
            assert_eq!(error.cause(), Some(cause), "{request_id}");
            assert!(error.to_string().contains(request_id));
        }
    }

    #[test]
    fn a_code_with_one_meaning_keeps_it_whatever_the_number_says() {
        for (status, code, number, cause) in [
            (401, "SIGN_ERROR", "268443699", Cause::Config),
            (
                404,
                "RESOURCE_NOT_EXISTS",
                "268435461",
                Cause::OrderNotFound,
            ),
            (400, "MCH_NOT_EXISTS", "268443715", Cause::Config),
        ] {
            let body = format!("{{\"code\":\"{code}\",\"message\":\"m\"}}");
            let error = judge(status, &body, Some(&format!("08F2-{number}")));
            assert_eq!(error.cause(), Some(cause), "{code}");
            assert!(error.to_string().contains(code), "{error}");
        }
    }

    #[test]
    fn what_is_neither_yes_nor_no_is_unknown() {
        for status in [201, 202, 302, 500, 502, 503] {
            for body in ["", "{}", r#"{"code":"SYSTEM_ERROR","message":"系统错误"}"#] {
                let error = judge(status, body, None);
                assert!(
                    matches!(error, WechatError::Unknown(_)),
                    "{status} {body} {error}"
                );
            }
        }
    }
}
