//! `zhanggui check`: the doctor. What is missing, what is wrong, what does not answer, and what to
//! do about it, in Chinese and English.
//!
//! A list of findings. What the configuration alone tells comes first; with a good one WeChat, our
//! public address and this machine are asked.

mod account;
mod answered;
mod finding;
mod hosts;
mod keys;
mod place;
mod text;
mod tls;

use std::path::Path;

use super::config::{self, Config};
use super::exit::Failure;
use super::{certificates, parts, serve, term};
use crate::base::Clock;
use crate::web::Client;
use crate::wechat::{Trace, Wechat};

pub use finding::{Finding, Topic, Verdict, Words};
pub(in crate::cli) use tls::{Doubt, doubts};

/// Looks at the file at `path` with `environment`, asks whom it names, and prints what it finds.
///
/// # Errors
/// [`Failure::Failed`] when something is missing or broken, [`Failure::Wrong`] when the
/// configuration is wrong.
pub fn run(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), Failure> {
    let text = config::read_text(path)?;
    let variables: Vec<_> = environment.collect();
    let survey = config::survey(&text, variables.iter().cloned());
    let mut findings = text::findings(&survey);
    findings.push(place::secrets(path, &text, &variables));
    if let Some(config) = survey.config {
        findings.extend(place::data_dir(&config.store.data_dir));
        findings.extend(serve::block_on(ask(config))?);
    }
    for finding in &findings {
        term::say(finding);
    }
    verdict(&findings)
}

fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    let (missing, broken) = (count(Verdict::Missing), count(Verdict::Broken));
    let wrong = count(Verdict::Wrong);
    let sum = format!(
        "缺 {missing} 项，坏 {broken} 项，错 {wrong} 项。\n\
         {missing} missing, {broken} broken, {wrong} wrong."
    );
    match (missing + broken, wrong) {
        (0, 0) => Ok(()),
        (_, 0) => Err(Failure::Failed(sum)),
        _ => Err(Failure::Wrong(sum)),
    }
}

/// Asks WeChat, and our own public address.
async fn ask(config: Config) -> Result<Vec<Finding>, Failure> {
    let client = Client::new().map_err(|why| Failure::failed("无法建立 HTTP 客户端", why))?;
    let clock = Clock::system();
    let merchant = config.pay.merchant.as_ref();
    let mut findings = merchant.map_or_else(Vec::new, |it| keys::findings(it, clock.now()));
    let mini = config.wechat.api_base.clone();
    let certificate = certificates::certificate(&config, &clock, None)?;
    let tls = certificate.map(|certificate| certificate.tls().clone());
    findings.extend(tls::findings(&config.server, tls.as_ref(), clock.now()));
    findings.extend(hosts::host(&client, "[wechat] api_base", &mini, &clock).await);
    if config.pay.merchant.is_some() {
        let base = &config.pay.api_base;
        if *base != mini {
            let found = hosts::host(&client, "[wechat.pay] api_base", base, &clock).await;
            findings.extend(found);
        }
        let server = &config.server;
        let is_waiting = tls
            .as_ref()
            .is_some_and(|tls| tls.standing().ends_at.is_none());
        let stand_in = hosts::stand_in(server.listen, tls).await;
        // A stand-in without a certificate would only show that there is none.
        if stand_in.is_none() || !is_waiting {
            findings.extend(hosts::public_url(&client, &server.public_url, stand_in).await);
        }
    }
    if findings.iter().any(Finding::is_red) {
        // Whoever cannot be reached cannot be asked, and a wrong clock spoils every answer.
        return Ok(findings);
    }
    let merchant = account::Merchant::of(&config);
    let wechat = Wechat::new(client, parts::wechat(config)?);
    findings.push(account::access(
        wechat.check_access(&Trace::new(&clock)).await,
    ));
    if let Some(merchant) = merchant {
        findings.extend(merchant.findings(&wechat, &clock).await);
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(Topic, Verdict)> {
        let findings = text::findings(&config::survey(text, std::iter::empty()));
        for finding in &findings {
            let good = finding.verdict == Verdict::Good;
            assert_eq!(finding.remedy.zh.is_empty(), good);
            assert_eq!(finding.remedy.en.is_empty(), good);
            assert!(!finding.seen.zh.is_empty() && !finding.seen.en.is_empty());
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
        assert_eq!(
            of(&text),
            [(Topic::Login, Verdict::Good), good, missing, good]
        );
        let reached = text.replace("http://127.0.0.1:8080", "https://shop.example.com");
        assert_eq!(of(&reached), [(Topic::Login, Verdict::Good), good, good]);
    }

    #[test]
    fn what_is_wrong_is_not_called_missing() {
        let found = of(&format!("{LOGIN}[log]\nlevel = \"loud\"\n"));
        assert!(
            found.contains(&(Topic::Config, Verdict::Wrong)),
            "{found:?}"
        );
    }

    #[test]
    fn a_notify_url_with_a_query_is_red() {
        let found = text::notify_url("https://shop.example.com/wx/pay/notify?a=1");
        assert_eq!(found.verdict, Verdict::Broken);
        let long = format!("https://{}.com/", "a".repeat(250));
        assert_eq!(text::notify_url(&long).verdict, Verdict::Broken);
        let found = text::notify_url("https://shop.example.com/wx/pay/notify");
        assert_eq!(found.verdict, Verdict::Good);
    }
}
