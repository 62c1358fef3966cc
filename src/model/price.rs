//! What an order costs: always the server's prices, checked sums, and every rule by name.

use serde::{Deserialize, Serialize};

use super::{Goods, Refusal};
use crate::base::{Fen, GoodsId};

/// The most lines an order may have.
pub const LINES_MAX: usize = 50;
/// The most pieces a line may have.
pub const COUNT_MAX: u32 = 9999;

/// A line as the buyer asks for it. The count is as it came: any whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineWanted {
    /// Which goods.
    pub goods_id: GoodsId,
    /// How many; checked by [`check_lines`].
    pub count: i64,
}

/// A line as ordered: the title, variant and price of that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which goods; `None` when the merchant's own backend priced the order.
    pub goods_id: Option<GoodsId>,
    /// The goods' title when ordered.
    pub title: String,
    /// The goods' variant when ordered.
    pub spec: String,
    /// What one piece cost when ordered.
    pub price: Fen,
    /// How many pieces, 1 to 9999.
    pub count: u32,
}

/// The lines with their counts checked, before any goods are read.
///
/// # Errors
/// [`Refusal::AmountInvalid`] naming `lines` or `count`.
pub fn check_lines(wanted: &[LineWanted]) -> Result<Vec<(GoodsId, u32)>, Refusal> {
    if wanted.is_empty() || wanted.len() > LINES_MAX {
        return Err(Refusal::AmountInvalid {
            field: "lines",
            rule: "1 到 50 行",
        });
    }
    let mut checked: Vec<(GoodsId, u32)> = Vec::with_capacity(wanted.len());
    for line in wanted {
        let rule = "1 到 9999 的整数";
        let count = u32::try_from(line.count)
            .ok()
            .filter(|count| (1..=COUNT_MAX).contains(count))
            .ok_or(Refusal::AmountInvalid {
                field: "count",
                rule,
            })?;
        if checked.iter().any(|(id, _)| *id == line.goods_id) {
            let rule = "每种商品只能出现一行";
            return Err(Refusal::AmountInvalid {
                field: "lines",
                rule,
            });
        }
        checked.push((line.goods_id, count));
    }
    Ok(checked)
}

/// The line that `count` pieces of `goods` make now.
///
/// # Errors
/// [`Refusal::GoodsOffSale`].
pub fn line_of(goods: &Goods, count: u32) -> Result<Line, Refusal> {
    if !goods.on_sale {
        return Err(Refusal::GoodsOffSale(goods.id));
    }
    Ok(Line {
        goods_id: Some(goods.id),
        title: goods.title.clone(),
        spec: goods.spec.clone(),
        price: goods.price,
        count,
    })
}

/// What all lines cost together.
///
/// # Errors
/// [`Refusal::AmountInvalid`] when the sum is zero or above [`Fen::ORDER_MAX`].
pub fn total(lines: &[Line]) -> Result<Fen, Refusal> {
    let rule = "合计必须在 1 到 1000000000 分之间";
    let refused = Refusal::AmountInvalid {
        field: "total_fen",
        rule,
    };
    let sum = lines.iter().try_fold(Fen::ZERO, |sum, line| {
        sum.checked_add(line.price.checked_mul(line.count)?)
    });
    match sum {
        Some(sum) if sum > Fen::ZERO && sum <= Fen::ORDER_MAX => Ok(sum),
        Some(_) | None => Err(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(id: u64, count: i64) -> LineWanted {
        LineWanted {
            goods_id: GoodsId::new(id),
            count,
        }
    }

    fn line(price: u64, count: u32) -> Line {
        let (title, spec) = (String::from("茶"), String::new());
        Line {
            goods_id: Some(GoodsId::new(1)),
            title,
            spec,
            price: Fen::new(price),
            count,
        }
    }

    #[test]
    fn counts_and_lines_out_of_range_are_refused_by_name() {
        let table = [
            (vec![], "lines"),
            (vec![wanted(1, 0)], "count"),
            (vec![wanted(1, -1)], "count"),
            (vec![wanted(1, 10_000)], "count"),
            (vec![wanted(1, i64::MAX)], "count"),
            (vec![wanted(1, i64::MIN)], "count"),
            (vec![wanted(1, 4_294_967_297)], "count"),
            (vec![wanted(1, 1), wanted(1, 2)], "lines"),
            ((1..=51).map(|id| wanted(id, 1)).collect(), "lines"),
        ];
        for (lines, want) in table {
            match check_lines(&lines) {
                Err(Refusal::AmountInvalid { field, .. }) => assert_eq!(field, want, "{lines:?}"),
                other => panic!("{lines:?}: {other:?}"),
            }
        }
        let all: Vec<_> = (1..=50).map(|id| wanted(id, 9999)).collect();
        assert_eq!(check_lines(&all).map(|l| l.len()), Ok(50));
    }

    #[test]
    fn a_total_is_the_exact_sum_or_refused() {
        assert_eq!(total(&[line(199, 3), line(1, 1)]), Ok(Fen::new(598)));
        assert_eq!(total(&[line(1_000_000_000, 1)]), Ok(Fen::ORDER_MAX));
        for lines in [
            vec![],
            vec![line(0, 9)],
            vec![line(1_000_000_000, 1), line(1, 1)],
        ] {
            assert!(total(&lines).is_err(), "{lines:?}");
        }
        assert!(total(&[line(u64::MAX, 2)]).is_err());
        assert!(total(&[line(u64::MAX, 1), line(1, 1)]).is_err());
    }

    #[test]
    fn goods_off_sale_make_no_line() {
        let at = crate::base::Timestamp::from_unix(0);
        let goods = Goods::new(GoodsId::new(5), "茶", Fen::new(9), at).expect("legal");
        assert_eq!(
            line_of(&goods, 2).map(|l| (l.price, l.count)),
            Ok((Fen::new(9), 2))
        );
        let off = Goods {
            on_sale: false,
            ..goods
        };
        assert_eq!(
            line_of(&off, 2),
            Err(Refusal::GoodsOffSale(GoodsId::new(5)))
        );
    }
}
