//! What the configuration alone tells: every fault, and what it is good for.

use super::finding::{Finding, Topic, Verdict, words};
use crate::cli::config::{Config, Fault, FaultKind, Merchant, Survey};
use crate::wechat::Version;

/// Everything there is to say about a configuration without asking anyone.
pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let mut findings: Vec<_> = survey.faults.iter().map(of_fault).collect();
    if !survey.has_mchid {
        findings.push(Finding {
            topic: Topic::Pay,
            verdict: Verdict::Missing,
            seen: words(
                "[wechat.pay] mchid：没有商户号，不能收款",
                "[wechat.pay] mchid: no merchant number, nothing can be paid",
            ),
            remedy: words(
                "在微信支付商户平台开通后填上商户号和密钥",
                "open WeChat Pay on the merchant platform, then fill in its number and keys",
            ),
        });
    }
    if let Some(config) = &survey.config {
        let appid = &config.wechat.appid;
        let seen = words(
            format!("小程序 {appid} 的配置齐全"),
            format!("mini program {appid} is configured"),
        );
        findings.push(Finding::good(Topic::Login, seen));
        if let Some(merchant) = &config.pay.merchant {
            findings.extend(of_pay(config, merchant));
        }
    }
    findings
}

fn of_fault(fault: &Fault) -> Finding {
    let key = &fault.key;
    let login = ["[wechat]", "[token]", "[store]"];
    let topic = match key.as_str() {
        "[server] public_url" => Topic::Pay,
        _ if key.starts_with("[wechat.pay]") => Topic::Pay,
        _ if login.iter().any(|section| key.starts_with(section)) => Topic::Login,
        _ => Topic::Config,
    };
    let (verdict, en) = match fault.kind {
        FaultKind::Missing => (Verdict::Missing, "required, but empty"),
        FaultKind::Syntax => (Verdict::Wrong, "not TOML"),
        FaultKind::Unknown => (Verdict::Wrong, "no such key"),
        FaultKind::Type => (Verdict::Wrong, "a value of the wrong type"),
        FaultKind::Range => (Verdict::Wrong, "a value outside of its range or form"),
        FaultKind::Conflict => (Verdict::Wrong, "given twice, or excluded by another key"),
        FaultKind::File => (Verdict::Wrong, "a file that cannot be read or used"),
        FaultKind::NotYet => (Verdict::Wrong, "a value this version does not serve"),
    };
    Finding {
        topic,
        verdict,
        seen: words(
            format!("{}  {key}：{}", fault.place, fault.cause),
            format!("{key}: {en}"),
        ),
        remedy: words(
            fault.remedy.clone(),
            "see this key in config.toml.example: it names the form and the range",
        ),
    }
}

fn of_pay(config: &Config, merchant: &Merchant) -> Vec<Finding> {
    let version = match config.pay.version {
        Version::V2 => "APIv2",
        Version::V3 => "APIv3",
    };
    let mchid = &merchant.mchid;
    let seen = words(
        format!("商户 {mchid} 的新支付走 {version}，密钥齐全"),
        format!("merchant {mchid} pays over {version}, its keys are there"),
    );
    let mut findings = vec![Finding::good(Topic::Pay, seen)];
    let (ours, theirs) = (&config.server.public_url, &config.pay.api_base);
    if ours.starts_with("http://") && theirs.starts_with("https://") {
        let seen = words(
            format!("[server] public_url：微信的服务器访问不到 {ours}"),
            format!("[server] public_url: WeChat's servers cannot reach {ours}"),
        );
        let remedy = words(
            "换成公网的 https 地址，或把 api_base 指向模拟器",
            "use a public https address, or point api_base at the simulator",
        );
        findings.push(Finding {
            verdict: Verdict::Missing,
            ..Finding::broken(Topic::Pay, seen, remedy)
        });
    }
    let notify = format!("{ours}{}", crate::cli::parts::NOTIFY_PATH);
    findings.push(notify_url(&notify));
    findings
}

/// Source: 微信支付 APIv3 · 回调通知注意事项: no query string, at most 255 characters.
pub(super) fn notify_url(url: &str) -> Finding {
    let remedy = words(
        "[server] public_url 只写协议和域名，如 https://shop.example.com",
        "[server] public_url must be a scheme and a host, like https://shop.example.com",
    );
    if url.contains(['?', '#']) || url.len() > 255 {
        let seen = words(
            format!("通知地址 {url} 带有参数或太长，微信不接受"),
            format!("notify URL {url} has a query or is too long, WeChat refuses it"),
        );
        return Finding::broken(Topic::Pay, seen, remedy);
    }
    let seen = words(format!("通知地址 {url}"), format!("notify URL {url}"));
    Finding::good(Topic::Pay, seen)
}
