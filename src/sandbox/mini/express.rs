//! The companies that carry parcels, by the ids of the shipping service: the common ones.
//!
//! Source: 小程序 · 获取运力id列表 (get_delivery_list).

use serde_json::{Value, json};

/// SF asks for a masked phone number beside the tracking number.
pub(super) const SF: &str = "SF";

/// Id and name. The platform's own list has about 1,400.
const COMPANIES: &[(&str, &str)] = &[
    (SF, "顺丰速运"),
    ("ZTO", "中通快递"),
    ("YTO", "圆通速递"),
    ("STO", "申通快递"),
    ("YD", "韵达速递"),
    ("JTSD", "极兔速递"),
    ("EMS", "EMS"),
    ("YZPY", "邮政快递包裹"),
    ("JD", "京东快递"),
    ("DBL", "德邦快递"),
    ("HTKY", "百世快递"),
    ("HHTT", "天天快递"),
    ("UC", "优速快递"),
    ("ZJS", "宅急送"),
    ("KYSY", "跨越速运"),
    ("ANE", "安能物流"),
    ("SURE", "速尔快递"),
    ("GTO", "国通快递"),
    ("DNWL", "丹鸟物流"),
    ("FWX", "丰网速运"),
    ("YMDD", "壹米滴答"),
    ("SXJD", "顺心捷达"),
    ("DHL", "DHL"),
    ("FEDEX", "FEDEX联邦快递"),
    ("UPS", "UPS"),
    ("QT", "其他快递"),
];

/// Whether parcels can be reported under this id.
pub(super) fn carries(delivery_id: &str) -> bool {
    COMPANIES.iter().any(|(id, _)| *id == delivery_id)
}

/// The answer of `get_delivery_list`.
pub(super) fn list() -> Value {
    let row = |(id, name): &(&str, &str)| json!({"delivery_id": id, "delivery_name": name});
    let rows: Vec<Value> = COMPANIES.iter().map(row).collect();
    json!({"count": rows.len(), "delivery_list": rows})
}
