//! A payment notify of WeChat Pay v2, signed with MD5: what the bench plays towards the server.
//!
//! Source: 微信支付 APIv2 · 签名算法, 支付结果通知.

use md5::{Digest, Md5};

/// The account that signs.
#[derive(Clone, Default)]
pub struct Account {
    pub appid: String,
    pub mchid: String,
    pub key: String,
}

/// The XML of a notify that says `total_fen` was paid for `out_trade_no`.
pub fn notify(account: &Account, out_trade_no: &str, total_fen: u64, openid: &str) -> String {
    let total = total_fen.to_string();
    let transaction_id = format!("42{out_trade_no:0>28.28}");
    let mut fields = [
        ("appid", account.appid.as_str()),
        ("bank_type", "OTHERS"),
        ("cash_fee", &total),
        ("fee_type", "CNY"),
        ("is_subscribe", "N"),
        ("mch_id", &account.mchid),
        ("nonce_str", "5d2b6c2a8db53831f7eda20af46e531c"),
        ("openid", openid),
        ("out_trade_no", out_trade_no),
        ("result_code", "SUCCESS"),
        ("return_code", "SUCCESS"),
        ("time_end", "20260101120000"),
        ("total_fee", &total),
        ("trade_type", "JSAPI"),
        ("transaction_id", &transaction_id),
    ];
    fields.sort_unstable();
    let mut text = String::new();
    let mut xml = "<xml>".to_owned();
    for (name, value) in fields {
        text += &format!("{name}={value}&");
        xml += &format!("<{name}><![CDATA[{value}]]></{name}>");
    }
    text += &format!("key={}", account.key);
    let digest = Md5::digest(text.as_bytes());
    let sign: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    xml + &format!("<sign><![CDATA[{sign}]]></sign></xml>")
}
