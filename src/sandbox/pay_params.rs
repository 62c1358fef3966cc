//! Judges the object for `wx.requestPayment` and says which field is wrong, and why.
//!
//! Pure. What a wrong `paySign` was probably made of is found in `suspects`.

use serde_json::{Map, Value, json};

use super::credentials::{Credentials, Keys};
use super::suspects;
use super::trades::{NotPayable, Protocol, Trade};
use crate::base::secret::same;

/// Exactly what is passed, and nothing else. Source: 小程序 · wx.requestPayment.
const FIELDS: [&str; 5] = ["timeStamp", "nonceStr", "package", "signType", "paySign"];

/// Why the object would not open the cashier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The field to look at.
    pub(super) field: String,
    /// Chinese first, then English.
    pub(super) why: String,
}

pub(super) fn wrong(field: &str, chinese: &str, english: &str) -> Wrong {
    Wrong {
        field: field.to_owned(),
        why: format!("{chinese} / {english}"),
    }
}

/// The five texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct PayParams<'a> {
    pub(super) time_stamp: &'a str,
    pub(super) nonce_str: &'a str,
    pub(super) package: &'a str,
    pub(super) sign_type: &'a str,
    pub(super) pay_sign: &'a str,
}

impl<'a> PayParams<'a> {
    /// Reads the object: five fields, all texts, no other.
    pub(super) fn read(object: &'a Map<String, Value>) -> Result<Self, Wrong> {
        if let Some(extra) = object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(extra_field(extra));
        }
        let [time_stamp, nonce_str, package, sign_type, pay_sign] =
            FIELDS.map(|name| text(object, name));
        Ok(Self {
            time_stamp: time_stamp?,
            nonce_str: nonce_str?,
            package: package?,
            sign_type: sign_type?,
            pay_sign: pay_sign?,
        })
    }

    /// Checks form and content before any order is looked up; gives the prepay_id.
    pub(super) fn check_form(&self) -> Result<&'a str, Wrong> {
        check_time_stamp(self.time_stamp)?;
        let plain = self.nonce_str.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain || !(1..=32).contains(&self.nonce_str.len()) {
            let english = "nonceStr must be 1 to 32 letters or digits";
            return Err(wrong(
                "nonceStr",
                "nonceStr 应为 1 到 32 位字母或数字",
                english,
            ));
        }
        match self.package.strip_prefix("prepay_id=") {
            Some("") => {
                let english = "package holds no prepay_id";
                Err(wrong("package", "package 中的 prepay_id 为空", english))
            }
            Some(prepay_id) => Ok(prepay_id),
            None => {
                let chinese = "package 必须是 \"prepay_id=\" 加上 prepay_id";
                let english = "package must be \"prepay_id=\" followed by the prepay_id";
                Err(wrong("package", chinese, english))
            }
        }
    }

    /// Checks the signature against the order that the prepay_id belongs to.
    pub(super) fn check_sign(
        &self,
        trade: &Trade,
        credentials: &Credentials,
        keys: &Keys,
    ) -> Result<(), Wrong> {
        match trade.order.protocol {
            Protocol::V2(sign_type) => {
                self.require_sign_type(sign_type.name(), "v2")?;
                let string = suspects::right_string_v2(self, credentials);
                let right = sign_type.digest(&string, &credentials.v2_key);
                if same(right.as_bytes(), self.pay_sign.as_bytes()) {
                    return Ok(());
                }
                Err(suspects::explain_v2(self, credentials, sign_type))
            }
            Protocol::V3 => {
                self.require_sign_type("RSA", "v3")?;
                let string = suspects::right_string_v3(self, credentials);
                if keys.merchant.verifies(&string, self.pay_sign) {
                    return Ok(());
                }
                Err(suspects::explain_v3(self, credentials, keys))
            }
        }
    }

    fn require_sign_type(&self, right: &str, protocol: &str) -> Result<(), Wrong> {
        if self.sign_type == right {
            return Ok(());
        }
        let chinese = format!("该订单用 {protocol} 下单，signType 应为 {right}");
        let english = format!("the order was placed with {protocol}: signType must be {right}");
        Err(wrong("signType", &chinese, &english))
    }
}

fn extra_field(name: &str) -> Wrong {
    if name == "appId" {
        let chinese = "appId 只参与签名，不传给 wx.requestPayment";
        let english = "appId takes part in the signature but is not passed to wx.requestPayment";
        return wrong(name, chinese, english);
    }
    if let Some(right) = FIELDS.iter().find(|right| right.eq_ignore_ascii_case(name)) {
        let chinese = format!("字段名大小写错误，应为 {right}");
        return wrong(name, &chinese, &format!("wrong case: the name is {right}"));
    }
    let english = "wx.requestPayment takes no such field";
    wrong(name, "wx.requestPayment 没有这个字段", english)
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, Wrong> {
    match object.get(name) {
        Some(Value::String(text)) if text.is_empty() => Err(wrong(
            name,
            &format!("{name} 为空"),
            &format!("{name} is empty"),
        )),
        Some(Value::String(text)) => Ok(text),
        None => Err(wrong(
            name,
            &format!("缺少 {name}"),
            &format!("{name} is missing"),
        )),
        Some(_) => {
            let chinese = format!("{name} 必须是字符串");
            Err(wrong(name, &chinese, &format!("{name} must be a string")))
        }
    }
}

fn check_time_stamp(text: &str) -> Result<(), Wrong> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match (digits, text.len()) {
        (true, 10) => Ok(()),
        (true, 13) => {
            let english = "timeStamp is in milliseconds; it must be in seconds";
            Err(wrong("timeStamp", "timeStamp 是毫秒，应为秒", english))
        }
        _ => {
            let english = "timeStamp must be seconds since 1970, 10 digits";
            Err(wrong(
                "timeStamp",
                "timeStamp 应为 10 位的秒级时间戳",
                english,
            ))
        }
    }
}

/// Why the prepay_id in `package` cannot be paid.
pub(super) fn not_payable(why: NotPayable) -> Wrong {
    let (chinese, english) = match why {
        NotPayable::Unknown => (
            "prepay_id 不存在",
            "prepay_id is unknown: it was not given out by this simulator",
        ),
        NotPayable::Expired => (
            "prepay_id 已过期（有效期 2 小时），请用相同参数重新下单",
            "prepay_id expired after 2 hours: place the same order again for a new one",
        ),
        NotPayable::Paid => ("该订单已支付", "the order is paid already"),
        NotPayable::Closed => ("该订单已关闭", "the order is closed"),
    };
    wrong("package", chinese, english)
}

/// The answer to an object that opens the cashier.
pub(super) fn accepted(trade: &Trade) -> Value {
    json!({
        "ok": true,
        "protocol": match trade.order.protocol {
            Protocol::V2(_) => "v2",
            Protocol::V3 => "v3",
        },
        "prepay_id": trade.prepay_id,
        "out_trade_no": trade.order.out_trade_no,
        "total_fen": trade.order.total,
    })
}
