//! Every route with who may call it and a body it takes: what the bad-input cases are made from.

use serde_json::{Value, json};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Anyone,
    Buyer,
    Merchant,
}

/// What a route reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// No body at all.
    None,
    /// Nothing, or an object without fields.
    Empty,
    /// An object of these fields.
    Fields(&'static [Field]),
    /// Nothing, or an object of these fields.
    Optional(&'static [Field]),
    /// WeChat's own format.
    Foreign,
}

impl Body {
    /// A body that the route takes.
    pub(crate) fn good(self) -> Vec<u8> {
        let fields = match self {
            Self::Fields(fields) | Self::Optional(fields) => fields,
            Self::Empty => &[],
            Self::None | Self::Foreign => return Vec::new(),
        };
        let pairs: Vec<String> = fields
            .iter()
            .map(|field| format!("\"{}\":{}", field.name, field.good))
            .collect();
        format!("{{{}}}", pairs.join(",")).into_bytes()
    }
}

/// A field of a JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// A good value, as JSON.
    pub(crate) good: &'static str,
    pub(crate) required: bool,
    /// The most characters of a text; 0 where the contract names none.
    pub(crate) chars: usize,
}

impl Field {
    /// Values of every JSON type but its own and `null`.
    pub(crate) fn wrong_types(&self) -> Vec<Value> {
        let own: Value = serde_json::from_str(self.good).unwrap();
        let all = [
            json!(true),
            json!(7),
            json!("文"),
            json!([1]),
            json!({ "a": 1 }),
        ];
        let kind = |value: &Value| std::mem::discriminant(value);
        all.into_iter()
            .filter(|value| kind(value) != kind(&own))
            .collect()
    }
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'a> {
    pub(crate) method: &'a str,
    pub(crate) pattern: &'a str,
    pub(crate) who: Who,
    pub(crate) body: Body,
}

const fn must(name: &'static str, good: &'static str, chars: usize) -> Field {
    Field {
        name,
        good,
        required: true,
        chars,
    }
}

const fn may(name: &'static str, good: &'static str, chars: usize) -> Field {
    Field {
        name,
        good,
        required: false,
        chars,
    }
}

const fn probe(
    method: &'static str,
    pattern: &'static str,
    who: Who,
    body: Body,
) -> Probe<'static> {
    Probe {
        method,
        pattern,
        who,
        body,
    }
}

const LOGIN: &[Field] = &[must("code", "\"no-such-code\"", 0)];
const CONSOLE_LOGIN: &[Field] = &[
    must("username", "\"nobody\"", 64),
    must("password", "\"no such password\"", 0),
    may("totp", "\"000000\"", 0),
];
const WEBHOOK: &[Field] = &[
    must("url", "\"https://hooks.example.com/a\"", 0),
    must("events", "[\"order.*\"]", 0),
];
const USER: &[Field] = &[
    may("nickname", "\"小王\"", 32),
    may("avatar_url", "\"https://example.com/a.png\"", 0),
];
const DECRYPT: &[Field] = &[
    must("encrypted_data", "\"AAAA\"", 0),
    must("iv", "\"AAAAAAAAAAAAAAAAAAAAAA==\"", 0),
    may("raw_data", "\"{}\"", 0),
    may("signature", "\"00\"", 0),
];
const ADDRESS: &[Field] = &[
    must("name", "\"王小明\"", 100),
    must("phone", "\"13800138000\"", 100),
    must("province", "\"浙江省\"", 100),
    must("city", "\"杭州市\"", 100),
    must("district", "\"西湖区\"", 100),
    must("detail", "\"龙井路 1 号\"", 100),
];
const ORDER: &[Field] = &[
    must("lines", "[{\"goods_id\":1,\"count\":1}]", 0),
    may("remark", "\"请包好\"", 200),
    may(
        "address",
        "{\"name\":\"a\",\"phone\":\"1\",\"province\":\"b\",\"city\":\"c\",\"district\":\"d\",\
         \"detail\":\"e\"}",
        0,
    ),
];
const ORDER_CHANGE: &[Field] = &[
    may("freight_fen", "100", 0),
    may("discount_fen", "10", 0),
    may(
        "address",
        "{\"name\":\"a\",\"phone\":\"1\",\"province\":\"b\",\"city\":\"c\",\"district\":\"d\",\
         \"detail\":\"e\"}",
        0,
    ),
    may("merchant_note", "\"急\"", 200),
];
const NEW_GOODS: &[Field] = &[
    must("title", "\"茶\"", 64),
    must("price_fen", "100", 0),
    must("stock", "10", 0),
    may("image_url", "\"https://example.com/a.png\"", 0),
    may("description", "\"好\"", 1000),
    may("on_sale", "true", 0),
    may("group_id", "1", 0),
    may("spec", "\"50g\"", 64),
];
const GOODS: &[Field] = &[
    may("title", "\"茶\"", 64),
    may("price_fen", "100", 0),
    may("stock", "10", 0),
    may("image_url", "\"https://example.com/a.png\"", 0),
    may("description", "\"好\"", 1000),
    may("on_sale", "true", 0),
    may("group_id", "1", 0),
    may("spec", "\"50g\"", 64),
];

const WISH: &[Field] = &[must("reason", "\"不想要了\"", 200)];
const REFUND: &[Field] = &[
    must("amount_fen", "100", 0),
    must("reason", "\"不想要了\"", 0),
    may("restock", "true", 0),
];
const RETRY: &[Field] = &[
    may("to", "\"user_bank_card\"", 0),
    may("bank_type", "\"ICBC_DEBIT\"", 0),
    may("bank_account", "\"6222000000000000\"", 0),
    may("real_name", "\"王小明\"", 0),
];
/// `parcels` and `all_delivered` are another form of the same body: [`crate::fulfil`] tries them.
const SHIP: &[Field] = &[
    must("logistics_type", "1", 0),
    may("express_company", "\"YTO\"", 0),
    may("tracking_no", "\"YT1\"", 0),
    may("item_desc", "\"茶\"", 120),
];
const RECONCILE: &[Field] = &[must("date", "\"2026-01-01\"", 0)];
const SETTLE: &[Field] = &[must("do", "\"seen\"", 0)];

/// Every route that is served now.
pub(crate) const PROBES: &[Probe<'static>] = &[
    probe("POST", "/api/v1/token", Who::Anyone, Body::Fields(LOGIN)),
    probe("GET", "/api/v1/token", Who::Buyer, Body::None),
    probe("DELETE", "/api/v1/token", Who::Buyer, Body::None),
    probe("GET", "/api/v1/user", Who::Buyer, Body::None),
    probe("PATCH", "/api/v1/user", Who::Buyer, Body::Fields(USER)),
    probe(
        "POST",
        "/api/v1/user/phone",
        Who::Buyer,
        Body::Fields(LOGIN),
    ),
    probe(
        "POST",
        "/api/v1/user/decrypt",
        Who::Buyer,
        Body::Fields(DECRYPT),
    ),
    probe("GET", "/api/v1/user/address", Who::Buyer, Body::None),
    probe(
        "PUT",
        "/api/v1/user/address",
        Who::Buyer,
        Body::Fields(ADDRESS),
    ),
    probe("GET", "/api/v1/goods", Who::Anyone, Body::None),
    probe("GET", "/api/v1/goods/{id}", Who::Anyone, Body::None),
    probe("POST", "/api/v1/orders", Who::Buyer, Body::Fields(ORDER)),
    probe("GET", "/api/v1/orders", Who::Buyer, Body::None),
    probe("GET", "/api/v1/orders/{order_no}", Who::Buyer, Body::None),
    probe(
        "POST",
        "/api/v1/orders/{order_no}/pay",
        Who::Buyer,
        Body::Empty,
    ),
    probe(
        "POST",
        "/api/v1/orders/{order_no}/sync",
        Who::Buyer,
        Body::Empty,
    ),
    probe(
        "POST",
        "/api/v1/orders/{order_no}/cancel",
        Who::Buyer,
        Body::Empty,
    ),
    probe(
        "POST",
        "/api/v1/orders/{order_no}/receive",
        Who::Buyer,
        Body::Empty,
    ),
    probe(
        "POST",
        "/api/v1/orders/{order_no}/refund-request",
        Who::Buyer,
        Body::Fields(WISH),
    ),
    probe(
        "POST",
        "/admin/v1/orders/{order_no}/refund-request/decline",
        Who::Merchant,
        Body::Fields(WISH),
    ),
    probe(
        "POST",
        "/admin/v1/orders/{order_no}/refunds",
        Who::Merchant,
        Body::Fields(REFUND),
    ),
    probe(
        "GET",
        "/admin/v1/orders/{order_no}/refunds",
        Who::Merchant,
        Body::None,
    ),
    probe(
        "POST",
        "/admin/v1/orders/{order_no}/refunds/{refund_no}/retry",
        Who::Merchant,
        Body::Optional(RETRY),
    ),
    probe("POST", "/wx/refund/notify", Who::Anyone, Body::Foreign),
    probe("POST", "/wx/pay/notify", Who::Anyone, Body::Foreign),
    probe("GET", "/wx/message", Who::Anyone, Body::None),
    probe("POST", "/wx/message", Who::Anyone, Body::Foreign),
    probe(
        "POST",
        "/admin/v1/session",
        Who::Anyone,
        Body::Fields(CONSOLE_LOGIN),
    ),
    probe("GET", "/admin/v1/session", Who::Merchant, Body::None),
    probe("DELETE", "/admin/v1/session", Who::Merchant, Body::None),
    probe("GET", "/admin/v1/goods", Who::Merchant, Body::None),
    probe(
        "POST",
        "/admin/v1/goods",
        Who::Merchant,
        Body::Fields(NEW_GOODS),
    ),
    probe("GET", "/admin/v1/goods/{id}", Who::Merchant, Body::None),
    probe(
        "PATCH",
        "/admin/v1/goods/{id}",
        Who::Merchant,
        Body::Fields(GOODS),
    ),
    probe("DELETE", "/admin/v1/goods/{id}", Who::Merchant, Body::None),
    probe("GET", "/admin/v1/orders", Who::Merchant, Body::None),
    probe(
        "GET",
        "/admin/v1/orders/{order_no}",
        Who::Merchant,
        Body::None,
    ),
    probe(
        "PATCH",
        "/admin/v1/orders/{order_no}",
        Who::Merchant,
        Body::Fields(ORDER_CHANGE),
    ),
    probe(
        "POST",
        "/admin/v1/orders/{order_no}/sync",
        Who::Merchant,
        Body::Empty,
    ),
    probe(
        "POST",
        "/admin/v1/orders/{order_no}/close",
        Who::Merchant,
        Body::Empty,
    ),
    probe(
        "POST",
        "/admin/v1/orders/{order_no}/ship",
        Who::Merchant,
        Body::Fields(SHIP),
    ),
    probe(
        "GET",
        "/admin/v1/express-companies",
        Who::Merchant,
        Body::None,
    ),
    probe("GET", "/admin/v1/wxacode", Who::Merchant, Body::None),
    probe(
        "GET",
        "/admin/v1/export/orders.csv",
        Who::Merchant,
        Body::None,
    ),
    probe("GET", "/admin/v1/backups", Who::Merchant, Body::None),
    probe("POST", "/admin/v1/backups", Who::Merchant, Body::Empty),
    probe(
        "GET",
        "/admin/v1/reconciliations",
        Who::Merchant,
        Body::None,
    ),
    probe(
        "POST",
        "/admin/v1/reconciliations",
        Who::Merchant,
        Body::Fields(RECONCILE),
    ),
    probe(
        "POST",
        "/admin/v1/reconciliations/{date}/rows/{out_trade_no}",
        Who::Merchant,
        Body::Fields(SETTLE),
    ),
    probe("GET", "/admin/v1/webhooks", Who::Merchant, Body::None),
    probe(
        "POST",
        "/admin/v1/webhooks",
        Who::Merchant,
        Body::Fields(WEBHOOK),
    ),
    probe(
        "DELETE",
        "/admin/v1/webhooks/{id}",
        Who::Merchant,
        Body::None,
    ),
    probe("GET", "/healthz", Who::Anyone, Body::None),
    probe("GET", "/readyz", Who::Anyone, Body::None),
    probe("GET", "/metrics", Who::Anyone, Body::None),
];
