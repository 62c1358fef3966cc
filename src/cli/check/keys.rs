//! Whether the keys of the configuration fit each other; WeChat is not asked.

use super::finding::{Finding, Topic, Words, words};
use crate::base::Timestamp;
use crate::base::x509::Certificate;
use crate::cli::config::Merchant;
use crate::web::Client;
use crate::wechat::V3Keys;

/// A certificate that ends within so many days should be renewed.
const RENEW_DAYS: u64 = 30;
/// … and within so many it is urgent: WeChat's review takes its time.
const URGENT_DAYS: u64 = 7;
const DAY_S: u64 = 86_400;

/// How WeChat Pay's public keys are named. Source: 微信支付 APIv3 · 微信支付公钥产品简介.
const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_";

/// What the keys of `merchant` tell by themselves at `now`.
pub(super) fn findings(merchant: &Merchant, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![];
    if let Some((chain, key)) = &merchant.v2_identity {
        let is_pair = Client::with_identity(chain, key).is_ok();
        match Certificate::from_pem(chain) {
            Err(why) => findings.push(unreadable(&why.to_string())),
            Ok(_) if !is_pair => findings.push(no_pair()),
            Ok(certificate) => {
                findings.push(dates(&certificate, now));
                findings.extend(merchant.v3.as_ref().and_then(|v3| serial(&certificate, v3)));
            }
        }
    }
    if let Some(v3) = &merchant.v3 {
        let ring = v3.wechat_keys.ring();
        findings.extend(ring.serials().first().map(|id| public_key_id(id)));
    }
    findings
}

fn unreadable(why: &str) -> Finding {
    let seen = words(
        format!("v2_client_cert_file 不是可用的证书：{why}"),
        format!("v2_client_cert_file is no certificate that can be used: {why}"),
    );
    Finding::broken(Topic::Pay, seen, download())
}

fn no_pair() -> Finding {
    let seen = words(
        "v2_client_cert_file 与 v2_client_key_file 不是一对：证书里是另一把公钥",
        "v2_client_cert_file and v2_client_key_file are no pair: \
         the certificate is for another key",
    );
    Finding::broken(Topic::Pay, seen, download())
}

fn download() -> Words {
    words(
        "填同一次申请得到的 apiclient_cert.pem 与 apiclient_key.pem（商户平台 → API 安全）",
        "use apiclient_cert.pem and apiclient_key.pem of one and the same application \
         (merchant platform, API security)",
    )
}

/// Source: 微信支付 APIv3 · 商户API证书 (5 years).
fn dates(certificate: &Certificate, now: Timestamp) -> Finding {
    let (from, to) = (certificate.starts_at, certificate.ends_at);
    let renew = words(
        "在商户平台 → API 安全更换 API 证书，换好后更新两个文件与 merchant_serial",
        "renew the API certificate on the merchant platform, then replace both files and \
         merchant_serial",
    );
    if now < from || to <= now {
        let seen = words(
            format!("商户 API 证书不在有效期内（{from} 至 {to}）"),
            format!("the merchant's API certificate is not valid now ({from} to {to})"),
        );
        return Finding::broken(Topic::Pay, seen, renew);
    }
    let days = to.since(now).as_secs() / DAY_S;
    let seen = words(
        format!("商户 API 证书与私钥是一对，还有 {days} 天到期"),
        format!("the merchant's API certificate and key are a pair, {days} days are left"),
    );
    match days {
        ..URGENT_DAYS => {
            let seen = words(
                format!("{}，马上就要失效", seen.zh),
                format!("{}: it is about to end", seen.en),
            );
            Finding::notice(Topic::Pay, seen, renew)
        }
        URGENT_DAYS..RENEW_DAYS => Finding::notice(Topic::Pay, seen, renew),
        RENEW_DAYS.. => Finding::good(Topic::Pay, seen),
    }
}

/// Whether a certificate that is v3's too has the serial that v3 signs with. A merchant may have
/// two certificates: of another key nothing is said.
fn serial(certificate: &Certificate, v3: &V3Keys) -> Option<Finding> {
    if certificate.key.to_pem() != v3.merchant_key.public().to_pem() {
        return None;
    }
    let (ours, theirs) = (&v3.merchant_serial, &certificate.serial);
    if ours.trim_start_matches('0') == theirs {
        let seen = words(
            format!("merchant_serial {theirs} 与商户 API 证书相符"),
            format!("merchant_serial {theirs} is the serial of the API certificate"),
        );
        return Some(Finding::good(Topic::Pay, seen));
    }
    let seen = words(
        format!("merchant_serial 是 {ours}，而这把私钥的证书序列号是 {theirs}"),
        format!("merchant_serial is {ours}, but this key's certificate has the serial {theirs}"),
    );
    let remedy = words(
        format!("把 [wechat.pay] merchant_serial 改为 {theirs}"),
        format!("set [wechat.pay] merchant_serial to {theirs}"),
    );
    Some(Finding::broken(Topic::Pay, seen, remedy))
}

fn public_key_id(id: &str) -> Finding {
    let digits = id.strip_prefix(PUBLIC_KEY_ID).unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let seen = words(
            format!("微信支付公钥 {id}"),
            format!("WeChat Pay public key {id}"),
        );
        return Finding::good(Topic::Pay, seen);
    }
    let seen = words(
        format!("wechat_public_key_id 不是微信支付公钥的 ID：{id}"),
        format!("wechat_public_key_id is not the id of a WeChat Pay public key: {id}"),
    );
    let remedy = words(
        "填商户平台 → API 安全 → 微信支付公钥里以 PUB_KEY_ID_ 开头的 ID，不是证书序列号",
        "use the id that begins with PUB_KEY_ID_ (merchant platform, API security, WeChat Pay \
         public key), not a certificate's serial",
    );
    Finding::broken(Topic::Pay, seen, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::base::rsa::{PrivateKey, PublicKey};
    use crate::cli::check::finding::Verdict;
    use crate::web::demanding::{CERT, KEY};
    use crate::wechat::{Trust, VerifyWith};

    fn merchant(chain: &str, key: &str, v3: Option<V3Keys>) -> Merchant {
        Merchant {
            mchid: "1900000109".parse().unwrap(),
            v2: None,
            v2_identity: Some((chain.to_owned(), Secret::from(key))),
            v3,
        }
    }

    fn v3(key: PrivateKey, serial: &str, id: &str) -> V3Keys {
        let public = PrivateKey::generate().public();
        let known: Option<(&str, PublicKey)> = (!id.is_empty()).then_some((id, public));
        V3Keys {
            api_key: Secret::from("0123456789abcdef0123456789abcdef"),
            merchant_serial: serial.to_owned(),
            merchant_key: key,
            wechat_keys: Trust::new(VerifyWith::PublicKey, known),
        }
    }

    fn verdicts(merchant: &Merchant, now: Timestamp) -> Vec<Verdict> {
        let findings = findings(merchant, now);
        for Finding { seen, remedy, .. } in &findings {
            assert!(!seen.zh.is_empty() && !seen.en.is_empty());
            assert_eq!(remedy.zh.is_empty(), remedy.en.is_empty());
        }
        findings.iter().map(|found| found.verdict).collect()
    }

    #[test]
    fn a_certificate_is_told_thirty_days_before_its_end_and_red_outside_of_its_time() {
        let certificate = Certificate::from_pem(CERT).unwrap();
        let (from, to) = (certificate.starts_at, certificate.ends_at);
        let days = |count: u64| std::time::Duration::from_secs(count * DAY_S);
        let second = std::time::Duration::from_secs(1);
        for (now, verdict) in [
            (from.minus(second), Verdict::Broken),
            (from, Verdict::Good),
            (to.minus(days(30)), Verdict::Good),
            (to.minus(days(29)), Verdict::Notice),
            (to.minus(days(6)), Verdict::Notice),
            (to.minus(second), Verdict::Notice),
            (to, Verdict::Broken),
        ] {
            assert_eq!(
                verdicts(&merchant(CERT, KEY, None), now),
                [verdict],
                "{now}"
            );
        }
        let urgent = dates(&certificate, to.minus(days(6))).seen;
        assert!(urgent.zh.contains("马上") && !urgent.zh.contains("29"));
    }

    #[test]
    fn a_certificate_of_another_key_or_none_at_all_is_red() {
        let now = Certificate::from_pem(CERT).unwrap().starts_at;
        let other = PrivateKey::generate().to_pem();
        for (chain, key) in [(CERT, other.as_str()), (KEY, KEY), ("nothing", KEY)] {
            assert_eq!(
                verdicts(&merchant(chain, key, None), now),
                [Verdict::Broken]
            );
        }
    }

    #[test]
    fn the_serial_is_that_of_the_certificate_where_v3_signs_with_its_key() {
        let certificate = Certificate::from_pem(CERT).unwrap();
        let (now, serial) = (certificate.starts_at, &certificate.serial);
        let own = || PrivateKey::from_pem(KEY).unwrap();
        let (good, broken) = (Verdict::Good, Verdict::Broken);
        let verdicts =
            |key, serial: &str| verdicts(&merchant(CERT, KEY, Some(v3(key, serial, ""))), now);
        assert_eq!(verdicts(own(), serial), [good, good]);
        assert_eq!(verdicts(own(), &format!("00{serial}")), [good, good]);
        assert_eq!(verdicts(own(), &"5A".repeat(20)), [good, broken]);
        assert_eq!(verdicts(PrivateKey::generate(), &"5A".repeat(20)), [good]);
    }

    #[test]
    fn an_id_that_is_no_public_keys_is_red() {
        for (id, verdict) in [
            (
                "PUB_KEY_ID_0119000001092025010100000000000000",
                Verdict::Good,
            ),
            ("PUB_KEY_ID_", Verdict::Broken),
            ("5157F09EFDC096DE15EBE81A47057A7232F1B8E1", Verdict::Broken),
        ] {
            assert_eq!(public_key_id(id).verdict, verdict, "{id}");
        }
    }
}
