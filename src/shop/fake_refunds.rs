//! The refunds of the [`super::fake_wechat`]: taken, asked about, ended by hand.

use std::collections::BTreeMap;

use data_encoding::BASE64;

use crate::base::xml::Fields;
use crate::base::{cipher, hash};

use super::fake_wechat::{APPID, KEY, MCHID, done, refused};

/// One refund at WeChat.
#[derive(Clone, Debug)]
pub(super) struct Held {
    asked: String,
    out_trade_no: String,
    transaction_id: String,
    total: String,
    pub(super) amount: u64,
    pub(super) status: &'static str,
}

/// What WeChat knows of refunds, and how it is minded.
#[derive(Debug, Default)]
pub(super) struct Refunds {
    pub(super) held: BTreeMap<String, Held>,
    /// The code with which the next refunds are refused.
    pub(super) refuse: Option<&'static str>,
}

/// The payment a refund takes money from.
pub(super) struct Paid {
    pub(super) out_trade_no: String,
    pub(super) transaction_id: String,
    pub(super) fee: String,
}

impl Refunds {
    /// `POST /secapi/pay/refund`.
    pub(super) fn take(&mut self, mut asked: Fields, paid: Option<Paid>) -> Fields {
        let number = asked.text("out_refund_no").to_owned();
        if let Some(code) = self.refuse {
            return refused(code, "按测试的要求拒绝");
        }
        let Some(paid) = paid else {
            return refused("ORDERNOTEXIST", "订单不存在");
        };
        asked.remove("nonce_str");
        asked.remove("sign");
        let amount = asked.text("refund_fee").parse().unwrap();
        let held = Held {
            asked: asked.to_xml(),
            out_trade_no: paid.out_trade_no,
            transaction_id: paid.transaction_id,
            total: paid.fee.clone(),
            amount,
            status: "PROCESSING",
        };
        if let Some(before) = self.held.get(&number) {
            return match before.asked == held.asked {
                true => done_with(before.fields(&number, "")),
                false => refused("PARAM_ERROR", "退款单号重复，参数不同"),
            };
        }
        if self.sum(&held.out_trade_no) + amount > paid.fee.parse().unwrap() {
            return refused("INVALID_REQUEST", "退款金额大于可退金额");
        }
        let said = done_with(held.fields(&number, ""));
        self.held.insert(number, held);
        said
    }

    /// An operator refunds in the merchant platform.
    pub(super) fn by_hand(&mut self, number: &str, amount: u64, paid: Paid) {
        let held = Held {
            asked: "by hand".to_owned(),
            out_trade_no: paid.out_trade_no,
            transaction_id: paid.transaction_id,
            total: paid.fee,
            amount,
            status: "SUCCESS",
        };
        self.held.insert(number.to_owned(), held);
    }

    fn sum(&self, out_trade_no: &str) -> u64 {
        let of_trade = self
            .held
            .values()
            .filter(|h| h.out_trade_no == out_trade_no);
        let open = of_trade.filter(|held| held.status != "REFUNDCLOSE");
        open.map(|held| held.amount).sum()
    }

    /// `POST /pay/refundquery`, by number or by order.
    pub(super) fn asked_about(&self, asked: &Fields) -> Fields {
        let (number, order) = (asked.text("out_refund_no"), asked.text("out_trade_no"));
        let wanted = |(no, held): &(&String, &Held)| {
            no.as_str() == number || (number.is_empty() && held.out_trade_no == order)
        };
        let found: Vec<_> = self.held.iter().filter(wanted).collect();
        let Some((_, first)) = found.first() else {
            return refused("REFUNDNOTEXIST", "退款单不存在");
        };
        let mut said = done()
            .with("out_trade_no", first.out_trade_no.as_str())
            .with("transaction_id", first.transaction_id.as_str())
            .with("total_fee", first.total.as_str())
            .with("refund_count", found.len().to_string());
        for (n, (number, held)) in found.iter().enumerate() {
            let own = held.fields(number, &format!("_{n}"));
            for name in ["out_refund_no", "refund_id", "refund_fee", "refund_status"] {
                let name = format!("{name}_{n}");
                said = said.with(&name, own.text(&name));
            }
        }
        said
    }
}

impl Held {
    fn fields(&self, number: &str, suffix: &str) -> Fields {
        let own = |name: &str| format!("{name}{suffix}");
        Fields::new()
            .with("out_trade_no", self.out_trade_no.as_str())
            .with("transaction_id", self.transaction_id.as_str())
            .with("total_fee", self.total.as_str())
            .with(&own("out_refund_no"), number)
            .with(&own("refund_id"), format!("50{number}"))
            .with(&own("refund_fee"), self.amount.to_string())
            .with(&own("refund_status"), self.status)
    }

    /// WeChat's notice of this refund, as it would look with `status`.
    pub(super) fn notice(&self, number: &str, status: &str) -> String {
        let mut plain = self.fields(number, "");
        plain.set("refund_status", status);
        let key = hash::md5_hex(KEY.as_bytes());
        let root = plain.to_xml_as("root");
        let sealed = cipher::ecb256_seal(key.as_bytes(), root.as_bytes()).unwrap();
        Fields::new()
            .with("return_code", "SUCCESS")
            .with("appid", APPID)
            .with("mch_id", MCHID)
            .with("nonce_str", "n")
            .with("req_info", BASE64.encode(&sealed))
            .to_xml()
    }
}

fn done_with(fields: Fields) -> Fields {
    fields.with("result_code", "SUCCESS")
}
