//! What several keys must be together: a merchant number asks for keys, a protocol for all of its
//! own. And what this version cannot serve yet, so that no key is accepted and then ignored.

use super::fault::FaultKind;
use super::settle::Settled;
use crate::base::Secret;

const PAY: &str = "wechat.pay";

/// The keys that APIv3 needs all of. Source: 微信支付 APIv3 · 开发必要参数说明.
const V3_KEYS: [&str; 3] = ["v3_key", "merchant_serial", "merchant_key_file"];

/// WeChat Pay's public key; without it platform certificates are downloaded.
const PUBLIC_KEY: [&str; 2] = ["wechat_public_key_id", "wechat_public_key_file"];

/// What a v2 refund is asked for with.
const CLIENT_CERT: [&str; 2] = ["v2_client_cert_file", "v2_client_key_file"];

/// Values that a later version serves, each with its reason.
const NOT_YET: [(&str, &str, &[&str], &str); 1] = [(
    "server.tls",
    "mode",
    &["files", "acme"],
    "写 off，由反向代理终结 TLS",
)];

/// Adds the faults that only show when keys are seen together.
pub(super) fn check(settled: &mut Settled) {
    not_yet(settled);
    backups_apart(settled);
    let version = plain(settled, PAY, "version");
    if filled(settled, "mchid") {
        require(
            settled,
            "server",
            "public_url",
            "填了商户号，微信要知道往哪里通知",
        );
        match version.as_deref() {
            Some("v2") => require(settled, PAY, "v2_key", "version 是 v2，必填"),
            Some("v3") => require_v3(settled, "version 是 v3，必填"),
            _ => {}
        }
    }
    if V3_KEYS.iter().any(|name| filled(settled, name)) {
        require_v3(settled, "v3 的密钥要填就填全");
    }
    pair(settled, PUBLIC_KEY, "微信支付公钥的两项要填就填全");
    pair(settled, CLIENT_CERT, "v2 商户证书的两项要填就填全");
    let verify_with = plain(settled, PAY, "verify_with");
    if matches!(verify_with.as_deref(), Some("public_key" | "both")) {
        for name in PUBLIC_KEY {
            require(settled, PAY, name, "verify_with 要用微信支付公钥，必填");
        }
    }
    if !filled(settled, "mchid") && (filled(settled, "v2_key") || filled(settled, "v3_key")) {
        require(settled, PAY, "mchid", "填了支付密钥，却没有商户号");
    }
}

fn not_yet(settled: &mut Settled) {
    for (section, name, words, remedy) in NOT_YET {
        let value = plain(settled, section, name).unwrap_or_default();
        if words.contains(&&*value) {
            let words = ("本版本还不支持这个取值", remedy);
            settled.add((section, name), FaultKind::NotYet, words);
        }
    }
}

/// A backup inside the data directory is lost with it.
fn backups_apart(settled: &mut Settled) {
    let path = |section, name| std::path::absolute(plain(settled, section, name)?).ok();
    let (Some(dir), Some(data_dir)) = (path("backup", "dir"), path("store", "data_dir")) else {
        return;
    };
    if dir.starts_with(&data_dir) {
        let words = (
            "备份放在数据目录里会跟数据一起丢",
            "换到数据目录之外，最好是另一块盘",
        );
        settled.add(("backup", "dir"), FaultKind::Conflict, words);
    }
}

fn require_v3(settled: &mut Settled, cause: &str) {
    for name in V3_KEYS {
        require(settled, PAY, name, cause);
    }
}

/// Adds a fault when only one of two is filled.
fn pair(settled: &mut Settled, names: [&str; 2], cause: &str) {
    if names.iter().any(|name| filled(settled, name)) {
        for name in names {
            require(settled, PAY, name, cause);
        }
    }
}

/// Adds a fault when the key is empty; one that is at fault already has said so.
fn require(settled: &mut Settled, section: &str, name: &str, cause: &str) {
    let empty = settled.text(section, name).is_some_and(Secret::is_empty);
    let title = format!("[{section}] {name}");
    if empty && !settled.faults.iter().any(|fault| fault.key == title) {
        let words = (cause, "填上它，或先把 mchid 和支付密钥都留空");
        settled.add((section, name), FaultKind::Missing, words);
    }
}

fn filled(settled: &Settled, name: &str) -> bool {
    settled.text(PAY, name).is_some_and(|text| !text.is_empty())
}

fn plain(settled: &Settled, section: &str, name: &str) -> Option<String> {
    settled
        .text(section, name)
        .map(|text| text.reveal().clone())
}
