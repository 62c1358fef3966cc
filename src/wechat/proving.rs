//! Proving the keys of both sides with one call that changes nothing.

use crate::base::secret;
use crate::model::Attempt;
use crate::web::Method;

use super::call::{Call, Stamp};
use super::client::Wechat;
use super::error::WechatError;
use super::sending::{NONCE_LENGTH, TRY_WITHIN};
use super::trace::Trace;
use super::v3::{self, SignatureHeaders};

/// What the answer to the proving call bore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A signature that verifies.
    Signed,
    /// No signature: WeChat takes ours, but its own key has not been seen yet.
    Unsigned,
}

impl Wechat {
    /// Asks once about `attempt`, which need not exist, and verifies the answer, an error answer
    /// too when it is signed: with a wrong key for WeChat's signatures nothing else would tell
    /// before the first payment.
    ///
    /// # Errors
    /// [`WechatError::Refused`] when our own keys are refused, [`WechatError::Unknown`] when the
    /// answer's signature does not verify.
    ///
    /// Source: 微信支付 APIv3 · 商户订单号查询订单, 如何验证签名.
    pub async fn prove_keys(
        &self,
        attempt: &Attempt,
        trace: &Trace<'_>,
    ) -> Result<Proof, WechatError> {
        if attempt.protocol.sign_type().is_some() {
            // Whatever v2 answers with a result is signed, and verified.
            return self.query(attempt, trace).await.map(|_| Proof::Signed);
        }
        let call: Call<()> = Call::V3 {
            method: Method::GET,
            path: v3::trade::query_path(attempt),
            body: String::new(),
            sealed_for: None,
            read: |_| Ok(()),
        };
        let clock = trace.clock();
        let stamp = Stamp {
            now: clock.now(),
            nonce_str: secret::random_text(NONCE_LENGTH),
        };
        let request = call.outgoing(&self.config, &self.config.pay.base, stamp)?;
        let answer = self.send(&self.client, request, TRY_WITHIN).await?;
        self.learn_key(answer.header("wechatpay-serial"), trace)
            .await;
        match call.read(&self.config, &answer, clock.now()) {
            Err(WechatError::Refused(refused)) if refused.is_absence() => {}
            judged => return judged.map(|()| Proof::Signed),
        }
        let headers = SignatureHeaders::read(|name| answer.header(name));
        if !headers.are_whole() {
            return Ok(Proof::Unsigned);
        }
        let ring = self.config.pay.v3()?.wechat_keys.ring();
        let verified = headers.verify(&answer.body, &ring, clock.now());
        verified.map_err(|fault| WechatError::Unknown(format!("应答验签失败：{fault}")))?;
        Ok(Proof::Signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Clock;
    use crate::base::rsa::PrivateKey;
    use crate::wechat::peer::{Peer, http, signed_json, wechat};
    use crate::wechat::trade::tests::attempt;
    use crate::wechat::v3::Keyring;
    use crate::wechat::{Cause, Protocol, Version};

    const ABSENT: &str = r#"{"code":"ORDER_NOT_EXIST","message":"m"}"#;

    #[tokio::test]
    async fn an_error_answer_is_a_proof_when_signed_no_proof_unsigned_and_red_when_forged() {
        let key = PrivateKey::generate();
        let forged = signed_json(404, &PrivateKey::generate(), ABSENT);
        let ours = http(401, "", r#"{"code":"SIGN_ERROR","message":"m"}"#);
        let answers = vec![
            signed_json(404, &key, ABSENT),
            http(404, "", ABSENT),
            forged,
            ours,
        ];
        let peer = Peer::answering(answers);
        let ring = Keyring::default().with_public_key("PUB_KEY_ID_1", key.public());
        let (wechat, clock) = (wechat(&peer.base, Version::V3, ring), Clock::system());
        let trace = Trace::new(&clock);
        let mut outcomes = vec![];
        for _ in 0..4 {
            outcomes.push(wechat.prove_keys(&attempt(Protocol::V3), &trace).await);
        }
        assert_eq!(outcomes[0], Ok(Proof::Signed));
        assert_eq!(outcomes[1], Ok(Proof::Unsigned));
        assert!(matches!(outcomes[2], Err(WechatError::Unknown(_))));
        let refused = outcomes[3].as_ref().expect_err("our key is refused");
        assert_eq!(refused.cause(), Some(Cause::Config));
    }
}
