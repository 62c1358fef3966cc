//! Goods: what the merchant sells. Stock is a record of its own, because every order changes it.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::base::{Fen, GoodsId, Timestamp};

/// The most pieces that may be in stock.
pub const STOCK_MAX: u64 = 1_000_000_000_000;

/// One kind of goods, or one variant of it (variants share a `group_id`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goods {
    /// Numbered from 1.
    pub id: GoodsId,
    /// 1 to 64 characters.
    pub title: String,
    /// What one piece costs, at least 1 fen.
    pub price: Fen,
    /// Where its picture is; may be empty.
    pub image_url: String,
    /// At most 1000 characters.
    pub description: String,
    /// Whether it can be ordered.
    pub on_sale: bool,
    /// The group that variants share.
    pub group_id: Option<u64>,
    /// What sets this variant apart, at most 64 characters.
    pub spec: String,
    /// When it was entered.
    pub created_at: Timestamp,
}

/// What the merchant wants changed; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoodsChange {
    /// A new title.
    pub title: Option<String>,
    /// A new price for orders from now on.
    pub price: Option<Fen>,
    /// A new picture.
    pub image_url: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// Put on sale, or off.
    pub on_sale: Option<bool>,
    /// Into another group, or out of any.
    pub group_id: Option<Option<u64>>,
    /// A new variant text.
    pub spec: Option<String>,
}

impl Goods {
    /// New goods with only what they must have; the rest is the contract's default.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] naming the field.
    pub fn new(id: GoodsId, title: &str, price: Fen, now: Timestamp) -> Result<Self, Refusal> {
        let empty = String::new;
        let goods = Self {
            id,
            title: title.to_owned(),
            price,
            image_url: empty(),
            description: empty(),
            on_sale: true,
            group_id: None,
            spec: empty(),
            created_at: now,
        };
        goods.checked()
    }

    /// These goods after `change`.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] naming the field.
    pub fn changed(self, change: GoodsChange) -> Result<Self, Refusal> {
        let goods = Self {
            title: change.title.unwrap_or(self.title),
            price: change.price.unwrap_or(self.price),
            image_url: change.image_url.unwrap_or(self.image_url),
            description: change.description.unwrap_or(self.description),
            on_sale: change.on_sale.unwrap_or(self.on_sale),
            group_id: change.group_id.unwrap_or(self.group_id),
            spec: change.spec.unwrap_or(self.spec),
            ..self
        };
        goods.checked()
    }

    fn checked(self) -> Result<Self, Refusal> {
        check_text("title", &self.title, 64, "1 到 64 个字符")?;
        if self.title.trim().is_empty() {
            return Err(Refusal::FieldInvalid {
                field: "title",
                rule: "1 到 64 个字符",
            });
        }
        if self.price < Fen::new(1) || self.price > Fen::ORDER_MAX {
            let rule = "1 到 1000000000 的整数（分）";
            return Err(Refusal::FieldInvalid {
                field: "price_fen",
                rule,
            });
        }
        check_link("image_url", &self.image_url)?;
        check_text("description", &self.description, 1000, "最多 1000 个字符")?;
        check_text("spec", &self.spec, 64, "最多 64 个字符")?;
        Ok(self)
    }
}

/// Refuses a text of more than `max` characters, or with control characters other than line ends.
///
/// # Errors
/// [`Refusal::FieldInvalid`] naming `field`.
pub fn check_text(
    field: &'static str,
    text: &str,
    max: usize,
    rule: &'static str,
) -> Result<(), Refusal> {
    let control = |c: char| c.is_control() && c != '\n' && c != '\r' && c != '\t';
    if text.chars().count() > max || text.chars().any(control) {
        return Err(Refusal::FieldInvalid { field, rule });
    }
    Ok(())
}

/// What the address of a picture may begin with, when it names a scheme at all.
const LINK_SCHEMES: [&str; 4] = ["http", "https", "cloud", "wxfile"];

/// Refuses an address of a picture that a page could be made to run, such as `javascript:…`, or
/// that could leave the attribute it is written in. Nothing is ever fetched from it.
///
/// # Errors
/// [`Refusal::FieldInvalid`] naming `field`.
pub fn check_link(field: &'static str, text: &str) -> Result<(), Refusal> {
    let rule = "最多 512 个字符的 http、https、cloud 或 wxfile 地址，不含空白、引号和尖括号";
    let stray = |c: char| c.is_control() || c.is_whitespace() || "\"'`<>\\".contains(c);
    let start = text.split(['/', '?', '#']).next().unwrap_or("");
    let scheme = start.split_once(':').map(|(scheme, _)| scheme);
    let known = |scheme: &str| LINK_SCHEMES.iter().any(|s| s.eq_ignore_ascii_case(scheme));
    let strange = scheme.is_some_and(|scheme| !known(scheme));
    if text.chars().count() > 512 || text.contains(stray) || strange {
        return Err(Refusal::FieldInvalid { field, rule });
    }
    Ok(())
}

/// Refuses a stock beyond [`STOCK_MAX`].
///
/// # Errors
/// [`Refusal::FieldInvalid`].
pub fn check_stock(stock: u64) -> Result<u64, Refusal> {
    if stock > STOCK_MAX {
        let rule = "0 到 1000000000000 的整数";
        return Err(Refusal::FieldInvalid {
            field: "stock",
            rule,
        });
    }
    Ok(stock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_named_by_a_plain_address_only() {
        for good in [
            "",
            "https://example.com/a.png?x=1&y=2#z",
            "HTTP://example.com/茶.png",
            "cloud://env.6869/a.png",
            "wxfile://tmp_1.png",
            "/static/a.png",
            "a.png",
            "a/b:c.png",
        ] {
            assert_eq!(check_link("image_url", good), Ok(()), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            " javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "https://example.com/\" onerror=alert(1)",
            "https://example.com/a b",
            "https://example.com/<b>",
        ] {
            assert!(check_link("image_url", bad).is_err(), "{bad}");
        }
    }

    fn tea() -> Goods {
        Goods::new(
            GoodsId::new(1),
            "茶",
            Fen::new(100),
            Timestamp::from_unix(0),
        )
        .expect("legal")
    }

    #[test]
    fn a_change_that_breaks_a_rule_names_its_field() {
        let long = |n: usize| Some("长".repeat(n));
        let table = [
            (
                GoodsChange {
                    title: long(65),
                    ..GoodsChange::default()
                },
                "title",
            ),
            (
                GoodsChange {
                    title: Some(" ".into()),
                    ..GoodsChange::default()
                },
                "title",
            ),
            (
                GoodsChange {
                    price: Some(Fen::ZERO),
                    ..GoodsChange::default()
                },
                "price_fen",
            ),
            (
                GoodsChange {
                    price: Fen::ORDER_MAX.checked_add(Fen::new(1)),
                    ..Default::default()
                },
                "price_fen",
            ),
            (
                GoodsChange {
                    spec: long(65),
                    ..GoodsChange::default()
                },
                "spec",
            ),
            (
                GoodsChange {
                    description: long(1001),
                    ..GoodsChange::default()
                },
                "description",
            ),
            (
                GoodsChange {
                    image_url: long(513),
                    ..GoodsChange::default()
                },
                "image_url",
            ),
            (
                GoodsChange {
                    title: Some("a\u{0}".into()),
                    ..GoodsChange::default()
                },
                "title",
            ),
        ];
        for (change, want) in table {
            match tea().changed(change) {
                Err(Refusal::FieldInvalid { field, .. }) => assert_eq!(field, want),
                other => panic!("{want}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_change_touches_only_what_it_names() {
        let change = GoodsChange {
            price: Some(Fen::new(7)),
            ..GoodsChange::default()
        };
        assert_eq!(
            tea().changed(change),
            Ok(Goods {
                price: Fen::new(7),
                ..tea()
            })
        );
        let out = GoodsChange {
            group_id: Some(None),
            ..GoodsChange::default()
        };
        let grouped = Goods {
            group_id: Some(3),
            ..tea()
        };
        assert_eq!(grouped.changed(out).map(|g| g.group_id), Ok(None));
    }

    #[test]
    fn stock_has_a_bound() {
        assert_eq!(check_stock(STOCK_MAX), Ok(STOCK_MAX));
        assert!(check_stock(STOCK_MAX + 1).is_err());
    }
}
