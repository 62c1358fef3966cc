//! Platform certificates over the wire: learnt when needed, kept when WeChat is down.

use data_encoding::BASE64;

use super::peer::{Peer, config, http};
use super::trade::tests::attempt;
use super::v3::{Trust, VerifyWith};
use super::{
    Cause, CloseAnswer, Protocol, Refreshed, Trace, Version, Wechat, WechatError, vectors,
};
use crate::base::rsa::PrivateKey;
use crate::base::{Clock, cipher};
use crate::web::Client;

const API_KEY: &str = "YvcMztKNGYlAV3OM50H5Y3VZzCQFs4x8";

fn wechat(base: &str, verify_with: VerifyWith) -> Wechat {
    let config = config(base, Version::V3, Trust::new(verify_with, None));
    Wechat::new(Client::new().expect("a client"), config)
}

/// The platform's certificate, sealed and signed by the platform itself.
pub(crate) fn list() -> String {
    let pem = vectors::PLATFORM_CERT;
    let sealed = cipher::gcm_seal(
        API_KEY.as_bytes(),
        b"0123456789ab",
        b"certificate",
        pem.as_bytes(),
    );
    let listed = serde_json::json!({"data": [{
        "serial_no": serial(),
        "effective_time": "2025-01-01T08:00:00+08:00",
        "expire_time": "2045-01-01T08:00:00+08:00",
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": "0123456789ab",
            "associated_data": "certificate",
            "ciphertext": BASE64.encode(&sealed.expect("sealed")),
        },
    }]});
    signed(200, &listed.to_string())
}

fn serial() -> String {
    vectors::key_entry("platform", "serial_no")
}

fn signed(status: u16, body: &str) -> String {
    signed_by(&vectors::private_key("platform"), status, body)
}

fn signed_by(key: &PrivateKey, status: u16, body: &str) -> String {
    let now = Clock::system().now().unix();
    let signature = key.sign(format!("{now}\nn\n{body}\n").as_bytes());
    let headers = format!(
        "wechatpay-timestamp: {now}\r\nwechatpay-nonce: n\r\nwechatpay-serial: {}\r\n\
         wechatpay-signature: {signature}\r\n",
        serial()
    );
    http(status, &headers, body)
}

#[tokio::test]
async fn an_answer_under_an_unknown_serial_is_believed_after_one_download() {
    let peer = Peer::answering(vec![signed(204, ""), list(), signed(204, "")]);
    let (wechat, clock) = (wechat(&peer.base, VerifyWith::Certificate), Clock::system());
    let trace = Trace::new(&clock);
    for _ in 0..2 {
        let answer = wechat.close(&attempt(Protocol::V3), &trace).await;
        assert_eq!(answer, Ok(CloseAnswer::Closed));
    }
    let heard = peer.heard();
    assert!(heard[1].starts_with("GET /v3/certificates HTTP/1.1"));
    assert_eq!(heard.len(), 3);
    let named = super::peer::header(&heard[2], "wechatpay-serial");
    assert_eq!(named, Some(serial().as_str()));
}

#[tokio::test]
async fn the_list_is_asked_for_without_naming_a_certificate_that_may_be_gone() {
    let peer = Peer::answering(vec![list(), list()]);
    let (wechat, clock) = (wechat(&peer.base, VerifyWith::Certificate), Clock::system());
    for _ in 0..2 {
        let refreshed = wechat.refresh_certificates(&Trace::new(&clock)).await;
        assert_eq!(refreshed, Ok(Refreshed::Renewed(1)));
    }
    for heard in peer.heard() {
        let named = heard.to_ascii_lowercase().contains("wechatpay-serial");
        assert!(!named, "{heard}");
    }
}

#[tokio::test]
async fn strangers_cause_one_download_a_minute_and_none_in_public_key_mode() {
    let peer = Peer::answering(vec![http(500, "", "")]);
    let clock = Clock::system();
    let trace = Trace::new(&clock);
    let certificate = wechat(&peer.base, VerifyWith::Certificate);
    for serial in [Some("0A"), Some("0B"), None, Some("0C")] {
        certificate.learn_key(serial, &trace).await;
    }
    let public_key = wechat(&peer.base, VerifyWith::PublicKey);
    public_key.learn_key(Some("0A"), &trace).await;
    assert_eq!(
        public_key.refresh_certificates(&trace).await,
        Ok(Refreshed::NotWanted)
    );
    assert_eq!(peer.heard().len(), 1);
}

#[tokio::test]
async fn a_failed_an_empty_and_a_forged_download_leave_what_is_known() {
    let none = r#"{"code":"RESOURCE_NOT_EXISTS","message":"无可用的平台证书"}"#;
    let answers = vec![
        list(),
        http(503, "", ""),
        signed(200, r#"{"data":[]}"#),
        signed_by(&PrivateKey::generate(), 200, r#"{"data":[]}"#),
        http(404, "", none),
    ];
    let (peer, clock) = (Peer::answering(answers), Clock::system());
    let (wechat, trace) = (wechat(&peer.base, VerifyWith::Both), Trace::new(&clock));
    let mut outcomes = vec![];
    for _ in 0..5 {
        outcomes.push(wechat.refresh_certificates(&trace).await);
        assert_eq!(wechat.platform_certificates().len(), 1);
    }
    assert_eq!(outcomes[0], Ok(Refreshed::Renewed(1)));
    assert!(matches!(outcomes[1], Err(WechatError::Unknown(_))));
    assert_eq!(outcomes[2], Ok(Refreshed::NothingNew));
    assert!(matches!(outcomes[3], Err(WechatError::Unknown(_))));
    let told = outcomes[4].as_ref().expect_err("none");
    assert_eq!(told.cause(), Some(Cause::Config));
}

#[tokio::test]
async fn certificates_kept_before_verify_while_wechat_gives_none() {
    let peer = Peer::answering(vec![signed(204, "")]);
    let (wechat, clock) = (wechat(&peer.base, VerifyWith::Certificate), Clock::system());
    let trace = Trace::new(&clock);
    wechat.adopt_certificates(vec![vectors::certificate("platform")], clock.now());
    let answer = wechat.close(&attempt(Protocol::V3), &trace).await;
    assert_eq!(answer, Ok(CloseAnswer::Closed));
    assert_eq!(peer.heard().len(), 1);
}
