//! Somebody else tells the shop of payments: notifies that were altered, signed with another key,
//! or are simply old.

use std::sync::{Arc, OnceLock};

use super::weather::Wires;
use super::world::{World, checked};
use crate::base::rsa::PrivateKey;
use crate::base::trial;
use crate::web::{Incoming, Outgoing};

/// A key that is not WeChat's.
fn another_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(PrivateKey::generate)
}

impl World {
    /// Overhears a payment notify on its way to the shop.
    pub(super) fn overhear(&self, on: Wires, request: &Outgoing) {
        if on == Wires::FromWechat && request.url.ends_with("/wx/pay/notify") {
            self.ledger().overhear(request.clone());
        }
    }

    /// Sends a notify that was overheard, altered, signed with another key, or as it was.
    pub(super) async fn forge(self: &Arc<Self>) {
        let (mut notice, how) = {
            let (mut random, ledger) = (self.random(), self.ledger());
            if ledger.notices.is_empty() {
                return;
            }
            let how = *random.pick(&["altered", "another key", "replayed"]);
            (random.pick(&ledger.notices).clone(), how)
        };
        match how {
            "altered" => alter(&mut notice.body),
            "another key" => sign_again(&mut notice),
            _ => {}
        }
        trial::met(format!("fault forged {how}"));
        let Ok(answer) = self.travel(Wires::FromWechat, notice).await else {
            return;
        };
        self.note(format!("a notify {how}: {}", answer.status));
        if how != "replayed" {
            checked("a forged notify is refused");
            if is_success(&answer) {
                self.broke(format!("a notify {how} is believed"));
            }
        }
    }
}

/// Changes one digit.
fn alter(body: &mut [u8]) {
    if let Some(digit) = body.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
        *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
    }
}

/// Signs with another key: RSA in v3; in v2 with what stands for another digest.
fn sign_again(notice: &mut Outgoing) {
    let header = |name: &str| {
        let found = notice
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (at, nonce) = (header("wechatpay-timestamp"), header("wechatpay-nonce"));
    let text = String::from_utf8_lossy(&notice.body).into_owned();
    let is_signature = |name: &str| name.eq_ignore_ascii_case("wechatpay-signature");
    let signature = another_key().sign(format!("{at}\n{nonce}\n{text}\n").as_bytes());
    for (_, value) in notice.headers.iter_mut().filter(|(n, _)| is_signature(n)) {
        value.clone_from(&signature);
    }
    if let (Some(from), Some(to)) = (text.find("<sign>"), text.find("</sign>")) {
        let (from, digest) = (from + "<sign>".len(), &text[from + "<sign>".len()..to]);
        let turned: String = digest
            .chars()
            .filter(char::is_ascii_hexdigit)
            .rev()
            .collect();
        notice.body = [&text[..from], &turned, &text[to..]].concat().into_bytes();
    }
}

/// Whether the shop says that it took the notify.
fn is_success(answer: &Incoming) -> bool {
    let said = String::from_utf8_lossy(&answer.body);
    answer.status == 204 || (answer.status == 200 && said.contains("SUCCESS"))
}
