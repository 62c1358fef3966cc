//! v2's order query (查询订单) and close (关闭订单).

use crate::base::xml::Fields;
use crate::base::{Fen, Timestamp};
use crate::model::Attempt;
use crate::wechat::error::WechatError;
use crate::wechat::trade::{Taken, Told, TradeState};

use super::SignType;

/// The fields that both calls send, less `nonce_str` and `sign`.
///
/// Source: 微信支付 APIv2 · 查询订单, 关闭订单.
pub fn fields(attempt: &Attempt, sign_type: SignType) -> Fields {
    Fields::from_iter([
        ("appid", attempt.appid.to_string()),
        ("mch_id", attempt.mchid.to_string()),
        ("sign_type", sign_type.as_str().to_owned()),
        ("out_trade_no", attempt.out_trade_no.to_string()),
    ])
}

/// What a believed answer to a query says.
///
/// # Errors
/// [`WechatError::Unknown`] for a state that is not documented, or money without number or amount.
///
/// Source: 微信支付 APIv2 · 查询订单.
pub fn read_told(answer: &Fields) -> Result<Told, WechatError> {
    let unknown = |why: &str| WechatError::Unknown(format!("查询结果无法读取：{why}"));
    let state = answer.text("trade_state");
    let state = TradeState::named(state).ok_or_else(|| unknown("trade_state"))?;
    let present = |name: &str| answer.get(name).filter(|value| !value.is_empty());
    let taken = if state.was_paid() {
        let transaction_id = answer.text("transaction_id").parse();
        Some(Taken {
            appid: present("appid").map(str::to_owned),
            mchid: present("mch_id").map(str::to_owned),
            transaction_id: transaction_id.map_err(|_| unknown("transaction_id"))?,
            amount: Fen::from_digits(answer.text("total_fee"))
                .ok_or_else(|| unknown("total_fee"))?,
            currency: present("fee_type").unwrap_or("CNY").to_owned(),
            paid_at: Timestamp::from_compact(answer.text("time_end")),
        })
    } else {
        None
    };
    Ok(Told {
        out_trade_no: present("out_trade_no").map(str::to_owned),
        state,
        taken,
        said: answer.text("trade_state_desc").to_owned(),
    })
}

/// A believed answer to a close says nothing more than that it was done.
///
/// # Errors
/// Never: the result code was judged before.
pub fn read_closed(_: &Fields) -> Result<(), WechatError> {
    Ok(())
}
