//! What WeChat's answers prove of its own keys, and of the key that opens what it sends.

use super::account::refused;
use super::finding::{Finding, Topic, words};
use crate::wechat::{Proof, Refreshed, Trace, Wechat, WechatError};

/// What the signature of a first answer says.
pub(super) fn proved(proof: Proof) -> Finding {
    match proof {
        Proof::Signed => Finding::good(
            Topic::Pay,
            words(
                "微信认可我方的签名，微信的回答也验签通过：商户号、密钥、证书序列号相符",
                "WeChat takes our signature and its answer verifies: number, keys and serial fit",
            ),
        ),
        Proof::Unsigned => Finding::notice(
            Topic::Pay,
            words(
                "微信认可我方的签名；但这次回答没有签名，微信一侧的公钥或证书还没有得到证实",
                "WeChat takes our signature; but this answer is not signed, so WeChat's own key \
                 is not proved yet",
            ),
            words(
                "付一笔 1 分钱的单，日志里没有“验签失败”即可",
                "pay one fen; the key fits unless the log tells of a signature that fails (验签失败)",
            ),
        ),
    }
}

/// Whether the APIv3 key opens what WeChat seals: platform certificates come sealed under it.
/// `None` for a merchant without v3.
///
/// Source: 微信支付 APIv3 · 下载平台证书, 如何解密回调报文和平台证书.
pub(super) async fn api_key(wechat: &Wechat, trace: &Trace<'_>) -> Option<Finding> {
    wechat.config().pay.v3.as_ref()?;
    Some(opened(wechat.refresh_certificates(trace).await))
}

fn opened(refreshed: Result<Refreshed, WechatError>) -> Finding {
    match refreshed {
        Ok(Refreshed::NotWanted) => Finding::good(
            Topic::Pay,
            words(
                "APIv3 密钥长度正确；用微信支付公钥验签时没有可试解的密文，第一条通知会证实它",
                "the APIv3 key has its length; with a public key there is nothing to try it on, \
                 the first notification proves it",
            ),
        ),
        Ok(Refreshed::Renewed(count)) => Finding::good(
            Topic::Pay,
            words(
                format!("APIv3 密钥正确：解开了 {count} 张平台证书"),
                format!("the APIv3 key is right: it opened {count} platform certificates"),
            ),
        ),
        Ok(Refreshed::NothingNew) => Finding::notice(
            Topic::Pay,
            words(
                "平台证书列表是空的：APIv3 密钥还没有得到证实",
                "the list of platform certificates is empty: the APIv3 key is not proved yet",
            ),
            words(
                "稍后再查；新商户请改用微信支付公钥（verify_with = \"public_key\"）",
                "look again later; a new merchant uses the public key \
                 (verify_with = \"public_key\")",
            ),
        ),
        Err(error) => of_download(&error),
    }
}

fn of_download(error: &WechatError) -> Finding {
    let WechatError::Refused(why) = error else {
        return refused(error);
    };
    let remedy = if why.is_absence() {
        "apply for a WeChat Pay public key on the merchant platform, fill in \
         wechat_public_key_id and wechat_public_key_file, set verify_with = \"public_key\""
    } else if why.is_local() {
        "set [wechat.pay] v3_key to the APIv3 key of the merchant platform (API security)"
    } else {
        return refused(error);
    };
    let seen = words(
        "平台证书拿不到或解不开",
        "the platform certificates cannot be had or opened",
    );
    Finding::broken(Topic::Pay, seen, words(why.advice, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Verdict;
    use crate::wechat::{Cause, Refused};

    fn refusal(code: &str) -> WechatError {
        WechatError::Refused(Refused {
            cause: Cause::Config,
            code: code.to_owned(),
            advice: "请核对",
            said: String::new(),
        })
    }

    #[test]
    fn each_end_of_a_download_has_its_verdict_and_its_remedy() {
        let table = [
            (Ok(Refreshed::NotWanted), Verdict::Good, ""),
            (Ok(Refreshed::Renewed(2)), Verdict::Good, ""),
            (Ok(Refreshed::NothingNew), Verdict::Notice, "later"),
            (Err(refusal("LOCAL")), Verdict::Broken, "v3_key"),
            (
                Err(refusal("RESOURCE_NOT_EXISTS")),
                Verdict::Broken,
                "public_key",
            ),
            (
                Err(refusal("SIGN_ERROR")),
                Verdict::Broken,
                "check the keys",
            ),
            (
                Err(WechatError::NotSent(String::new())),
                Verdict::Broken,
                "network",
            ),
        ];
        for (end, verdict, remedy) in table {
            let said = format!("{end:?}");
            let found = opened(end);
            assert_eq!(found.verdict, verdict, "{said}");
            assert!(found.remedy.en.contains(remedy), "{said}: {found}");
            assert_eq!(found.remedy.zh.is_empty(), verdict == Verdict::Good);
        }
    }

    #[test]
    fn an_unsigned_answer_is_no_proof_of_wechats_key() {
        assert_eq!(proved(Proof::Signed).verdict, Verdict::Good);
        assert_eq!(proved(Proof::Unsigned).verdict, Verdict::Notice);
    }
}
