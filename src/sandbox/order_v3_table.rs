//! The v3 prepay's verdicts as tables: each part altered, each field missing, over-long, wrong.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::fixtures::{now, order_v3_body, rows, verdict_v3_at};
use super::fixtures::{v3_with as with, v3_without as without};
use super::trades::Trades;

/// `CODE field` of a body that is rightly signed.
fn verdict(body: &Value) -> String {
    verdict_v3_at(&mut Trades::new(), body, now())
}

#[test]
fn a_right_order_is_opened_whole_or_with_only_what_is_required() {
    assert_eq!(verdict(&order_v3_body()), "OK");
    let mut least = order_v3_body();
    for name in [
        "time_expire",
        "attach",
        "goods_tag",
        "support_fapiao",
        "detail",
        "scene_info",
        "settle_info",
    ] {
        least.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(verdict(&least), "OK");
}

#[test]
fn each_required_field_missing_is_named() {
    for pointer in [
        "/appid",
        "/mchid",
        "/description",
        "/out_trade_no",
        "/notify_url",
        "/amount",
        "/amount/total",
        "/payer",
        "/payer/openid",
        "/scene_info/payer_client_ip",
        "/scene_info/store_info/id",
    ] {
        assert_eq!(verdict(&without(pointer)), format!("PARAM_ERROR {pointer}"));
        assert_eq!(
            verdict(&with(pointer, Value::Null)),
            format!("PARAM_ERROR {pointer}")
        );
    }
    let goods = json!([{"merchant_goods_id": "1", "unit_price": 1}]);
    let refused = verdict(&with("/detail/goods_detail", goods));
    assert_eq!(refused, "PARAM_ERROR /detail/goods_detail/0/quantity");
}

#[test]
fn each_text_is_right_at_its_longest_and_named_one_byte_beyond() {
    let url = |length: usize| format!("https://shop.example.com/{}", "n".repeat(length - 25));
    let table = [
        ("/description", 127),
        ("/out_trade_no", 32),
        ("/attach", 128),
        ("/notify_url", 255),
        ("/goods_tag", 32),
        ("/detail/invoice_id", 32),
        ("/scene_info/device_id", 32),
        ("/scene_info/store_info/id", 32),
        ("/scene_info/store_info/name", 256),
        ("/scene_info/store_info/area_code", 32),
        ("/scene_info/store_info/address", 512),
    ];
    for (pointer, longest) in table {
        let of = |length: usize| match pointer {
            "/notify_url" => json!(url(length)),
            _ => json!("a".repeat(length)),
        };
        assert_eq!(verdict(&with(pointer, of(longest))), "OK", "{pointer}");
        let beyond = verdict(&with(pointer, of(longest + 1)));
        assert_eq!(beyond, format!("PARAM_ERROR {pointer}"));
        let empty = verdict(&with(pointer, json!("")));
        assert_eq!(empty, format!("PARAM_ERROR {pointer}"));
    }
    for pointer in [
        "/appid",
        "/mchid",
        "/payer/openid",
        "/time_expire",
        "/amount/currency",
    ] {
        let beyond = verdict(&with(pointer, json!("9".repeat(129))));
        assert_eq!(beyond, format!("PARAM_ERROR {pointer}"));
    }
}

/// Pointer, JSON value, verdict.
const RULES: &str = r#"
/appid                       | "wx0000000000000001"                  | APPID_MCHID_NOT_MATCH
/mchid                       | "1000000001"                          | PARAM_ERROR /mchid
/mchid                       | 1900000109                            | PARAM_ERROR /mchid
/description                 | "苹果🍎"                              | PARAM_ERROR /description
/out_trade_no                | "12345"                               | PARAM_ERROR /out_trade_no
/out_trade_no                | "a_-*B1"                              | OK
/out_trade_no                | "order@123"                           | PARAM_ERROR /out_trade_no
/time_expire                 | "2026-01-01T00:00:31+08:00"           | OK
/time_expire                 | "2026-01-01 00:30:30"                 | PARAM_ERROR /time_expire
/time_expire                 | 1767198630                            | PARAM_ERROR /time_expire
/notify_url                  | "https://shop.example.com/n?a=1"      | PARAM_ERROR /notify_url
/notify_url                  | "shop.example.com/n"                  | PARAM_ERROR /notify_url
/notify_url                  | "http://127.0.0.1:8080/wx/pay/notify" | OK
/amount                      | 5980                                  | PARAM_ERROR /amount
/amount/total                | 0                                     | PARAM_ERROR /amount/total
/amount/total                | -1                                    | PARAM_ERROR /amount/total
/amount/total                | 59.8                                  | PARAM_ERROR /amount/total
/amount/total                | 5980.0                                | PARAM_ERROR /amount/total
/amount/total                | "5980"                                | PARAM_ERROR /amount/total
/amount/total                | 1                                     | OK
/amount/currency             | "USD"                                 | PARAM_ERROR /amount/currency
/amount/extra                | 1                                     | PARAM_ERROR /amount/extra
/payer                       | []                                    | PARAM_ERROR /payer
/payer/openid                | "o with blank"                        | PARAM_ERROR /payer/openid
/payer/openid                | "oUpF8uMuAJO_M2pxb1Q9zNjWeS6p"        | OPENID_MISMATCH
/limit_pay                   | ["no_credit"]                         | PARAM_ERROR /limit_pay
/nonce                       | "x"                                   | PARAM_ERROR /nonce
/support_fapiao              | "true"                                | PARAM_ERROR /support_fapiao
/settle_info/profit_sharing  | 1                              | PARAM_ERROR /settle_info/profit_sharing
/scene_info/payer_client_ip  | "x"                            | PARAM_ERROR /scene_info/payer_client_ip
/detail/goods_detail         | {}                                    | PARAM_ERROR /detail/goods_detail
/detail/goods_detail         | ["1"]                                 | PARAM_ERROR /detail/goods_detail/0
/detail/cost_price           | -1                                    | PARAM_ERROR /detail/cost_price
"#;

#[test]
fn each_rule_of_a_field_is_held_although_the_signature_is_right() {
    for row in rows(RULES) {
        let [pointer, value, code] = row[..] else {
            panic!("{row:?}");
        };
        let value = serde_json::from_str(value).unwrap();
        assert_eq!(verdict(&with(pointer, value)), code, "{row:?}");
    }
    let long = verdict(&with("/description", json!("果".repeat(43))));
    assert_eq!(long, "PARAM_ERROR /description");
}
