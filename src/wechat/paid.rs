//! What a verified payment notification says, and whether an attempt waits for it. Pure.

use crate::base::{AppId, Fen, MchId, OpenId, Timestamp, TransactionId};

use super::prepay::Protocol;

/// A verified notification of a successful payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidNotice {
    /// What it was verified with; it must be its attempt's.
    pub protocol: Protocol,
    /// The mini program it names.
    pub appid: AppId,
    /// The merchant it names.
    pub mchid: MchId,
    /// Our number of the attempt, as WeChat wrote it.
    pub out_trade_no: String,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// The order's total (not what the payer paid after coupons).
    pub amount: Fen,
    /// The currency; `CNY` when v2 leaves it out.
    pub currency: String,
    /// The payer.
    pub openid: Option<OpenId>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// SHA-256 of the raw message: two notices with one digest are one message sent twice.
    pub digest: [u8; 32],
}

/// What an attempt waits for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The protocol it was opened with.
    pub protocol: Protocol,
    /// The mini program it was opened for.
    pub appid: &'a AppId,
    /// The merchant it was opened for.
    pub mchid: &'a MchId,
    /// Its number.
    pub out_trade_no: &'a str,
    /// Its price.
    pub amount: Fen,
}

/// In what a genuine notice differs from its attempt. It is not acknowledged, and alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another protocol or sign type.
    #[error("协议")]
    Protocol,
    /// Another mini program.
    #[error("appid")]
    AppId,
    /// Another merchant.
    #[error("mchid")]
    MchId,
    /// Another number.
    #[error("out_trade_no")]
    OutTradeNo,
    /// Another amount.
    #[error("金额")]
    Amount,
    /// Another currency than CNY.
    #[error("币种")]
    Currency,
}

impl PaidNotice {
    /// Checks that this is the payment that the attempt waits for.
    ///
    /// # Errors
    /// The first [`Mismatch`]. The message is genuine all the same: somebody paid.
    ///
    /// Source: 微信支付 APIv2, APIv3 · 支付结果通知.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), Mismatch> {
        let table = [
            (self.protocol == expected.protocol, Mismatch::Protocol),
            (self.appid == *expected.appid, Mismatch::AppId),
            (self.mchid == *expected.mchid, Mismatch::MchId),
            (
                self.out_trade_no == expected.out_trade_no,
                Mismatch::OutTradeNo,
            ),
            (self.amount == expected.amount, Mismatch::Amount),
            (self.currency == "CNY", Mismatch::Currency),
        ];
        match table.iter().find(|(same, _)| !same) {
            Some(&(_, mismatch)) => Err(mismatch),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::Secret;
    use crate::wechat::v2::{self, SignType};
    use crate::wechat::vectors;

    #[test]
    fn each_difference_from_the_attempt_is_named() {
        let fields = vectors::fields(&vectors::v2("xml_parse")[0]["expected"]);
        let key = Secret::from("0123456789abcdefghijklmnopqrstuv");
        let notice = v2::notify::read_paid(&fields, &key, SignType::Md5, [0; 32]).unwrap();
        let (other, strangers) = ("wx1".parse().unwrap(), "1".parse().unwrap());
        let ours = Expected {
            protocol: Protocol::V2Md5,
            appid: &"wx8888888888888888".parse().unwrap(),
            mchid: &"1900000109".parse().unwrap(),
            out_trade_no: "T20260101000001",
            amount: Fen::new(888),
        };
        let expecting = |change: fn(&mut Expected<'_>)| {
            let mut changed = ours;
            change(&mut changed);
            notice.check(&changed)
        };
        assert_eq!(notice.check(&ours), Ok(()));
        assert_eq!(
            expecting(|e| e.protocol = Protocol::V3),
            Err(Mismatch::Protocol)
        );
        assert_eq!(
            expecting(|e| e.out_trade_no = "T"),
            Err(Mismatch::OutTradeNo)
        );
        assert_eq!(
            expecting(|e| e.amount = Fen::new(889)),
            Err(Mismatch::Amount)
        );
        let elsewhere = Expected {
            appid: &other,
            ..ours
        };
        assert_eq!(notice.check(&elsewhere), Err(Mismatch::AppId));
        let elsewhere = Expected {
            mchid: &strangers,
            ..ours
        };
        assert_eq!(notice.check(&elsewhere), Err(Mismatch::MchId));
        let foreign = PaidNotice {
            currency: "USD".to_owned(),
            ..notice
        };
        assert_eq!(foreign.check(&ours), Err(Mismatch::Currency));
    }
}
