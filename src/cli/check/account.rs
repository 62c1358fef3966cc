//! Whether WeChat takes us for whom we say we are: the merchant's keys, its binding to the mini
//! program, the mini program's secret. Nothing is charged: what is asked for does not exist.

use std::net::{IpAddr, Ipv4Addr};

use super::answered;
use super::finding::{Finding, Topic, words};
use crate::base::{Clock, Fen, MchId, OpenId, OrderNo, OutTradeNo, secret};
use crate::cli::config::Config;
use crate::model::{Attempt, AttemptState};
use crate::wechat::{Cause, PrepayRequest, Refused, Trace, Wanted, Wechat, WechatError};

/// An openid that nobody has: the binding is judged before the payer is.
const NOBODY: &str = "zhanggui-check-nobody-0000000000";

/// What is asked about the merchant.
pub(super) struct Merchant {
    mchid: MchId,
    openid: OpenId,
    notify_url: String,
}

impl Merchant {
    /// The merchant of `config`, if it has one.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let merchant = config.pay.merchant.as_ref()?;
        let path = crate::cli::parts::NOTIFY_PATH;
        Some(Self {
            mchid: merchant.mchid.clone(),
            openid: NOBODY.parse().expect("an openid in form"),
            notify_url: format!("{}{path}", config.server.public_url),
        })
    }

    /// Asks WeChat about a payment that does not exist, then to open one for nobody.
    pub(super) async fn findings(&self, wechat: &Wechat, clock: &Clock) -> Vec<Finding> {
        let trace = Trace::new(clock);
        let (attempt, request) = match self.attempt(wechat, clock) {
            Ok(made) => made,
            Err(error) => return vec![refused(&error)],
        };
        let mut findings: Vec<_> = answered::api_key(wechat, &trace)
            .await
            .into_iter()
            .collect();
        if findings.iter().any(Finding::is_red) {
            return findings;
        }
        match wechat.prove_keys(&attempt, &trace).await {
            Ok(proof) => findings.push(answered::proved(proof)),
            Err(error) => {
                findings.push(refused(&error));
                return findings;
            }
        }
        let opened = wechat.prepay(&request, &trace).await;
        if opened.is_ok() {
            // A simulator may let nobody pay; what was opened is closed again.
            let _ = wechat.close(&attempt, &trace).await;
        }
        findings.push(bound(opened.err().as_ref()));
        findings
    }

    fn attempt(
        &self,
        wechat: &Wechat,
        clock: &Clock,
    ) -> Result<(Attempt, PrepayRequest), WechatError> {
        let now = clock.now();
        let order_no = OrderNo::new(clock.now_ms(), secret::random_u64());
        let out_trade_no = OutTradeNo::new(order_no, 1);
        let request = wechat.compose(&Wanted {
            out_trade_no: out_trade_no.to_string(),
            description: "zhanggui check".to_owned(),
            amount: Fen::new(1),
            openid: self.openid.clone(),
            notify_url: self.notify_url.clone(),
            time_expire: now,
            created_at: now,
            client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        })?;
        let attempt = Attempt {
            out_trade_no,
            protocol: request.protocol,
            appid: wechat.config().appid.clone(),
            mchid: self.mchid.clone(),
            openid: self.openid.clone(),
            amount: Fen::new(1),
            time_expire: request.time_expire,
            request: request.text.clone(),
            prepay: None,
            state: AttemptState::Open,
            transaction_id: None,
            paid_at: None,
            counted: false,
            created_at: now,
        };
        Ok((attempt, request))
    }
}

/// What opening a payment for nobody says of the binding: any refusal but one about us means that
/// appid, mchid and product were taken.
fn bound(error: Option<&WechatError>) -> Finding {
    let about_us = error.filter(|error| match error {
        WechatError::Refused(refused) => {
            matches!(refused.cause, Cause::Config | Cause::NoPermission)
        }
        WechatError::Unknown(_) | WechatError::NotSent(_) => true,
    });
    match about_us {
        Some(error) => refused(error),
        None => Finding::good(
            Topic::Pay,
            words(
                "appid 与商户号已绑定，JSAPI 支付已开通",
                "appid and merchant number are bound, JSAPI payments are open",
            ),
        ),
    }
}

/// What getting an access token says of the mini program.
pub(super) fn access(got: Result<(), WechatError>) -> Finding {
    match got {
        Ok(()) => Finding::good(
            Topic::Login,
            words(
                "AppSecret 正确，能取得 access_token，出口 IP 在白名单里",
                "the AppSecret is right, an access_token is given, our address is on the list",
            ),
        ),
        Err(error) => Finding {
            topic: Topic::Login,
            ..refused(&error)
        },
    }
}

/// A refusal as a finding: cause and remedy.
pub(super) fn refused(error: &WechatError) -> Finding {
    let (seen, remedy) = match error {
        WechatError::Refused(why) => (
            words(
                format!("微信拒绝（{}）：{}", why.code, why.said),
                format!("WeChat refuses ({}): {}", why.code, why.said),
            ),
            words(why.advice, advice(why)),
        ),
        WechatError::Unknown(why) => (
            words(
                format!("微信的回答不能采信：{why}"),
                format!("WeChat's answer is not to be trusted: {why}"),
            ),
            words(
                "核对 wechat_public_key_id 与公钥文件是否同一把（商户平台 → API 安全）、\
                 v2_key 与签名方式；都对就稍后再查",
                "check that wechat_public_key_id and the public key file belong together, and \
                 v2_key with its sign type; if they do, look again later",
            ),
        ),
        WechatError::NotSent(why) => (
            words(
                format!("连不上微信：{why}"),
                format!("WeChat is out of reach: {why}"),
            ),
            words("先处理上面的网络问题", "mend the network first"),
        ),
    };
    Finding::broken(Topic::Pay, seen, remedy)
}

/// The advice of `why` in English, by WeChat's code.
fn advice(why: &Refused) -> &'static str {
    const TABLE: [(&str, &str); 13] = [
        (
            "SIGNERROR",
            "check the keys, the sign type, the certificate's serial and the clock",
        ),
        (
            "APPIDMCHIDNOTMATCH",
            "bind the appid on the merchant platform (APPID authorisation)",
        ),
        ("APPIDNOTEXIST", "check [wechat] appid"),
        ("MCHIDNOTEXIST", "check [wechat.pay] mchid"),
        ("MCHNOTEXISTS", "check [wechat.pay] mchid"),
        ("NOAUTH", "open JSAPI payments on the merchant platform"),
        (
            "INVALIDREQUEST",
            "compare the configuration with what WeChat names",
        ),
        (
            "40164",
            "add this machine's address to the IP whitelist of the mini program's console",
        ),
        ("40013", "check [wechat] appid"),
        ("40125", "check [wechat] secret: it may have been reset"),
        ("40001", "check [wechat] secret: it may have been reset"),
        (
            "40243",
            "the AppSecret is frozen: thaw it in the mini program's console",
        ),
        ("89503", "this address needs the administrator's approval"),
    ];
    let plain = why.code.replace('_', "");
    let row = TABLE.iter().find(|(code, _)| *code == plain);
    row.map_or(
        "do as WeChat's words say; the code is in its documents",
        |(_, en)| en,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Verdict;

    fn refusal(cause: Cause, code: &str) -> WechatError {
        WechatError::Refused(Refused {
            cause,
            code: code.to_owned(),
            advice: "请核对",
            said: "invalid ip 203.0.113.7".to_owned(),
        })
    }

    #[test]
    fn a_refusal_about_us_is_red_and_one_about_nobody_is_not() {
        for (cause, code) in [
            (Cause::Config, "APPID_MCHID_NOT_MATCH"),
            (Cause::NoPermission, "NO_AUTH"),
        ] {
            let found = bound(Some(&refusal(cause, code)));
            assert_eq!(found.verdict, Verdict::Broken, "{code}");
            assert!(found.seen.zh.contains(code));
        }
        let payer = refusal(Cause::OpenIdMismatch, "OPENID_MISMATCH");
        assert_eq!(bound(Some(&payer)).verdict, Verdict::Good);
        let field = refusal(Cause::BadRequest, "PARAM_ERROR");
        assert_eq!(bound(Some(&field)).verdict, Verdict::Good);
        assert_eq!(bound(None).verdict, Verdict::Good);
        let open = WechatError::Unknown("超时".to_owned());
        assert_eq!(bound(Some(&open)).verdict, Verdict::Broken);
    }

    #[test]
    fn an_address_that_is_not_on_the_list_is_named_with_where_to_put_it() {
        let found = access(Err(refusal(Cause::Config, "40164")));
        assert_eq!(
            (found.topic, found.verdict),
            (Topic::Login, Verdict::Broken)
        );
        let (seen, remedy) = (&found.seen, &found.remedy);
        assert!(seen.zh.contains("203.0.113.7") && seen.en.contains("203.0.113.7"));
        assert!(remedy.en.contains("IP whitelist"));
        assert_eq!(access(Ok(())).verdict, Verdict::Good);
    }

    #[test]
    fn each_way_to_fail_has_its_remedy_in_both_languages() {
        let errors = [
            refusal(Cause::Config, "SIGN_ERROR"),
            refusal(Cause::Config, "40125"),
            refusal(Cause::RuleLimit, "SOMETHING_NEW"),
            WechatError::Unknown("签名".to_owned()),
            WechatError::NotSent("refused".to_owned()),
        ];
        for error in &errors {
            let found = refused(error);
            let (seen, remedy) = (&found.seen, &found.remedy);
            for text in [&seen.zh, &seen.en, &remedy.zh, &remedy.en] {
                assert!(!text.is_empty(), "{error}");
            }
        }
    }
}
