//! A payment notify of WeChat Pay v3, encrypted and signed: what the flood plays.
//!
//! Source: 微信支付 APIv3 · 支付成功回调通知, 签名生成.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use data_encoding::BASE64;
use serde_json::{Value, json};

/// The keys with which the simulator in `--account DIR` speaks.
pub struct Signer {
    account: Value,
    sealing: LessSafeKey,
    signing: KeyPair,
}

impl Signer {
    /// Reads what `sandbox --data DIR` keeps.
    pub fn read(dir: &Path) -> Result<Self, String> {
        let text = |name: &str| {
            let path = dir.join(name);
            fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let account: Value =
            serde_json::from_str(&text("sandbox.json")?).map_err(|e| e.to_string())?;
        let key = account["v3_key"].as_str().unwrap_or("").as_bytes();
        let sealing = UnboundKey::new(&AES_256_GCM, key).map_err(|_| "v3_key".to_owned())?;
        let pem = text("wechat_private_key.pem")?;
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let der = BASE64
            .decode(lines.collect::<String>().as_bytes())
            .map_err(|e| e.to_string())?;
        Ok(Self {
            sealing: LessSafeKey::new(sealing),
            signing: KeyPair::from_pkcs8(&der).map_err(|e| e.to_string())?,
            account,
        })
    }

    fn text(&self, name: &str) -> &str {
        self.account[name].as_str().unwrap_or("")
    }

    /// The request that says `total_fen` was paid for `order_no`.
    pub fn notify(&self, order_no: &str, total_fen: u64, openid: &str) -> Result<Vec<u8>, String> {
        let transaction = json!({
            "appid": self.text("appid"), "mchid": self.text("mchid"),
            "out_trade_no": order_no, "transaction_id": format!("42{order_no:0>28.28}"),
            "trade_type": "JSAPI", "trade_state": "SUCCESS", "trade_state_desc": "支付成功",
            "bank_type": "OTHERS", "attach": "", "success_time": "2026-01-01T12:00:00+08:00",
            "payer": { "openid": openid },
            "amount": { "total": total_fen, "payer_total": total_fen,
                        "currency": "CNY", "payer_currency": "CNY" },
        });
        let mut sealed = transaction.to_string().into_bytes();
        let nonce = Nonce::assume_unique_for_key(*b"abcdefghijkl");
        self.sealing
            .seal_in_place_append_tag(nonce, Aad::from(b"transaction"), &mut sealed)
            .map_err(|e| e.to_string())?;
        let body = json!({
            "id": format!("EV-{order_no}"), "create_time": "2026-01-01T12:00:00+08:00",
            "resource_type": "encrypt-resource", "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {
                "original_type": "transaction", "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": BASE64.encode(&sealed),
                "associated_data": "transaction", "nonce": "abcdefghijkl",
            },
        });
        self.signed(&body.to_string())
    }

    fn signed(&self, body: &str) -> Result<Vec<u8>, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = now.map_err(|e| e.to_string())?.as_secs();
        let nonce = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";
        let text = format!("{at}\n{nonce}\n{body}\n");
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .map_err(|e| e.to_string())?;
        let head = [
            "POST /wx/pay/notify HTTP/1.1".to_owned(),
            "host: bench".to_owned(),
            "content-type: application/json".to_owned(),
            format!("wechatpay-serial: {}", self.text("wechat_key_id")),
            format!("wechatpay-timestamp: {at}"),
            format!("wechatpay-nonce: {nonce}"),
            format!("wechatpay-signature: {}", BASE64.encode(&signature)),
            "wechatpay-signature-type: WECHATPAY2-SHA256-RSA2048".to_owned(),
            format!("content-length: {}", body.len()),
        ];
        Ok(format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes())
    }
}
