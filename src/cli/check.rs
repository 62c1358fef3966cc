//! `zhanggui check`: what is missing for login and for pay, and what to do about it.
//!
//! A list of findings, so that it can grow: certificates, clock, reach of WeChat's hosts.

use std::path::Path;

use super::config::{self, Config, Fault, FaultKind, Merchant};
use super::exit::Failure;
use super::term;
use crate::wechat::Version;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The configuration as such.
    Config,
    /// Everything before paying.
    Login,
    /// Paying.
    Pay,
}

/// How a finding ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to do.
    Good,
    /// Something must be filled in: exit 1.
    Missing,
    /// Something is wrong: exit 2.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// How it ends.
    pub verdict: Verdict,
    /// What was seen, in Chinese.
    pub seen: String,
    /// What mends it, in Chinese; empty when nothing has to be done.
    pub remedy: String,
}

/// Looks at the file at `path` with `environment` and prints what it finds.
///
/// # Errors
/// [`Failure::Failed`] when something is missing, [`Failure::Wrong`] when something is wrong.
pub fn run(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), Failure> {
    let text = config::read_text(path)?;
    let findings = findings(&text, environment);
    for finding in &findings {
        term::say(line(finding));
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    let (missing, wrong) = (count(Verdict::Missing), count(Verdict::Wrong));
    let sum = format!("缺 {missing} 项，错 {wrong} 项。");
    match (missing, wrong) {
        (0, 0) => Ok(()),
        (_, 0) => Err(Failure::Failed(sum)),
        _ => Err(Failure::Wrong(sum)),
    }
}

fn line(finding: &Finding) -> String {
    let topic = match finding.topic {
        Topic::Config => "配置",
        Topic::Login => "登录",
        Topic::Pay => "支付",
    };
    let Finding { seen, remedy, .. } = finding;
    match finding.verdict {
        Verdict::Good => format!("[好] {topic}  {seen}"),
        Verdict::Missing => format!("[缺] {topic}  {seen}。处理：{remedy}。"),
        Verdict::Wrong => format!("[错] {topic}  {seen}。处理：{remedy}。"),
    }
}

/// Everything there is to say about a configuration.
pub fn findings(text: &str, environment: impl Iterator<Item = (String, String)>) -> Vec<Finding> {
    let survey = config::survey(text, environment);
    let mut findings: Vec<_> = survey.faults.iter().map(of_fault).collect();
    if !survey.has_mchid {
        findings.push(Finding {
            topic: Topic::Pay,
            verdict: Verdict::Missing,
            seen: "[wechat.pay] mchid：没有商户号，不能收款".to_owned(),
            remedy: "在微信支付商户平台开通后填上商户号和密钥".to_owned(),
        });
    }
    if let Some(config) = &survey.config {
        findings.push(good(
            Topic::Login,
            format!("小程序 {} 可以登录", config.wechat.appid),
        ));
        if let Some(merchant) = &config.pay.merchant {
            findings.extend(of_pay(config, merchant));
        }
    }
    findings
}

fn of_fault(fault: &Fault) -> Finding {
    let key = &fault.key;
    let topic = match key.as_str() {
        "[server] public_url" => Topic::Pay,
        _ if key.starts_with("[wechat.pay]") => Topic::Pay,
        _ if ["[wechat]", "[token]", "[store]"]
            .iter()
            .any(|s| key.starts_with(s)) =>
        {
            Topic::Login
        }
        _ => Topic::Config,
    };
    let verdict = match fault.kind {
        FaultKind::Missing => Verdict::Missing,
        FaultKind::Syntax
        | FaultKind::Unknown
        | FaultKind::Type
        | FaultKind::Range
        | FaultKind::Conflict
        | FaultKind::File
        | FaultKind::NotYet => Verdict::Wrong,
    };
    let seen = format!("{}  {key}：{}", fault.place, fault.cause);
    Finding {
        topic,
        verdict,
        seen,
        remedy: fault.remedy.clone(),
    }
}

fn of_pay(config: &Config, merchant: &Merchant) -> Vec<Finding> {
    let version = match config.pay.version {
        Version::V2 => "APIv2",
        Version::V3 => "APIv3",
    };
    let mut findings = vec![good(
        Topic::Pay,
        format!("商户 {} 的新支付走 {version}，密钥齐全", merchant.mchid),
    )];
    let (ours, theirs) = (&config.server.public_url, &config.pay.api_base);
    if ours.starts_with("http://") && theirs.starts_with("https://") {
        findings.push(Finding {
            topic: Topic::Pay,
            verdict: Verdict::Missing,
            seen: format!("[server] public_url：微信的服务器访问不到 {ours}"),
            remedy: "换成公网的 https 地址，或把 api_base 指向模拟器".to_owned(),
        });
    }
    findings
}

fn good(topic: Topic, seen: String) -> Finding {
    Finding {
        topic,
        verdict: Verdict::Good,
        seen,
        remedy: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(Topic, Verdict)> {
        let findings = findings(text, std::iter::empty());
        for finding in &findings {
            assert_eq!(finding.remedy.is_empty(), finding.verdict == Verdict::Good);
        }
        findings.iter().map(|f| (f.topic, f.verdict)).collect()
    }

    const LOGIN: &str = "[store]\nfield_key = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n\
                         [token]\nsalt = \"s\"\n[wechat]\nappid = \"wx1\"\nsecret = \"s\"\n";

    #[test]
    fn an_empty_file_misses_login_and_pay() {
        let missing = [(Topic::Login, Verdict::Missing); 4];
        let pay = [(Topic::Pay, Verdict::Missing)];
        assert_eq!(of(""), [&missing[..], &pay].concat());
    }

    #[test]
    fn without_a_merchant_number_only_paying_is_missing() {
        let wanted = [
            (Topic::Pay, Verdict::Missing),
            (Topic::Login, Verdict::Good),
        ];
        assert_eq!(of(LOGIN), wanted);
    }

    #[test]
    fn a_merchant_number_without_its_key_is_missing_for_pay() {
        let pay = "[wechat.pay]\nmchid = \"1900000109\"\nversion = \"v2\"\n";
        let found = of(&format!("{LOGIN}{pay}"));
        assert_eq!(found, [(Topic::Pay, Verdict::Missing); 2]);
    }

    #[test]
    fn a_shop_that_wechat_cannot_reach_is_told_so() {
        let pay = "[wechat.pay]\nmchid = \"1900000109\"\nversion = \"v2\"\n\
                   v2_key = \"192006250b4c09247ec02edce69f6a2d\"\n\
                   [server]\npublic_url = \"http://127.0.0.1:8080\"\n";
        let (good, missing) = ((Topic::Pay, Verdict::Good), (Topic::Pay, Verdict::Missing));
        let text = format!("{LOGIN}{pay}");
        assert_eq!(of(&text), [(Topic::Login, Verdict::Good), good, missing]);
        let reached = text.replace("http://127.0.0.1:8080", "https://shop.example.com");
        assert_eq!(of(&reached), [(Topic::Login, Verdict::Good), good]);
    }

    #[test]
    fn what_is_wrong_is_not_called_missing() {
        let found = of(&format!("{LOGIN}[log]\nlevel = \"loud\"\n"));
        assert!(
            found.contains(&(Topic::Config, Verdict::Wrong)),
            "{found:?}"
        );
    }
}
