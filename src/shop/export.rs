//! Orders as a table for a spreadsheet: CSV that Excel and WPS open, no cell of which is a formula.

use csv::Writer;

use super::{Shop, ShopError};
use crate::base::{Fen, Timestamp};
use crate::model::{Logistics, Order, OrderStatus, Shipment};
use crate::store::orders::{self, OrderQuery};
use crate::store::{Page, PageWanted, StoreError, shipments};

/// How many orders are read at a time.
const AT_A_TIME: usize = 200;

/// Without it a spreadsheet takes UTF-8 for something else.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What stands above the columns.
const HEAD: [&str; 24] = [
    "订单号",
    "状态",
    "下单时间",
    "支付时间",
    "发货时间",
    "完成时间",
    "关闭时间",
    "商品金额（元）",
    "运费（元）",
    "优惠（元）",
    "应付（元）",
    "已退（元）",
    "微信支付单号",
    "用户编号",
    "商品",
    "件数",
    "收货人",
    "电话",
    "地址",
    "买家留言",
    "商家备注",
    "配送方式",
    "快递公司",
    "快递单号",
];

/// Which orders are exported: placed from `from` on, before `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportWanted {
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The first moment that is too late.
    pub to: Option<Timestamp>,
}

/// Some rows of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The rows; in the first part the head is above them.
    pub csv: String,
    /// What gives the next part; `None` in the last.
    pub next_cursor: Option<String>,
}

impl Shop {
    /// The part of the table behind `cursor`, the newest orders first.
    ///
    /// # Errors
    /// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; store errors.
    pub async fn export_orders(
        &self,
        wanted: ExportWanted,
        cursor: Option<String>,
    ) -> Result<Exported, ShopError> {
        let (key, is_first) = (self.field_key(), cursor.is_none());
        let query = OrderQuery {
            from: wanted.from,
            to: wanted.to,
            ..OrderQuery::default()
        };
        let page = PageWanted {
            cursor,
            limit: AT_A_TIME,
        };
        let read = self.store.read(move |view| {
            let found = orders::list(view, &key, &query, &page)?;
            let with = |order: Order| shipments::of(view, &order).map(|sent| (order, sent));
            let items = found.items.into_iter().map(with);
            Ok::<_, ShopError>(Page {
                items: items.collect::<Result<Vec<_>, StoreError>>()?,
                next_cursor: found.next_cursor,
            })
        });
        let found = read.await?;
        let rows = found.items.iter().map(|(order, sent)| row(order, sent));
        let head = is_first.then(|| HEAD.map(str::to_owned).to_vec());
        let table = written(head.into_iter().chain(rows));
        let mark = if is_first { BYTE_ORDER_MARK } else { "" };
        Ok(Exported {
            csv: format!("{mark}{table}"),
            next_cursor: found.next_cursor,
        })
    }
}

fn written(rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = Writer::from_writer(vec![]);
    for row in rows {
        writer
            .write_record(row)
            .expect("memory takes every row of equal length");
    }
    let bytes = writer.into_inner().expect("memory can be flushed");
    String::from_utf8(bytes).expect("what was text stays text")
}

fn row(order: &Order, sent: &[Shipment]) -> Vec<String> {
    let moment = |at: Option<Timestamp>| at.map(time).unwrap_or_default();
    let address = order.address.as_ref();
    let pieces = order.lines.iter().map(|line| u64::from(line.count));
    let mut row = vec![
        number(order.order_no.as_str()),
        status(order.status).to_owned(),
        time(order.created_at),
        moment(order.paid_at),
        moment(order.shipped_at),
        moment(order.completed_at),
        moment(order.closed_at),
    ];
    let amounts = [
        order.goods,
        order.freight,
        order.discount,
        order.total,
        order.refunded,
    ];
    row.extend(amounts.iter().map(Fen::to_string));
    row.extend([
        order
            .transaction_id
            .as_ref()
            .map(|id| number(id.as_str()))
            .unwrap_or_default(),
        order.uid.to_string(),
        text(&lines(order)),
        pieces.fold(0_u64, u64::saturating_add).to_string(),
        address.map(|to| text(&to.name)).unwrap_or_default(),
        address
            .map(|to| number(&text(&to.phone)))
            .unwrap_or_default(),
        address
            .map(|to| text(&[&*to.province, &to.city, &to.district, &to.detail].concat()))
            .unwrap_or_default(),
        text(&order.remark),
        text(&order.merchant_note),
    ]);
    let each = |of: fn(&Shipment) -> String| {
        let told: Vec<_> = sent
            .iter()
            .map(of)
            .filter(|told| !told.is_empty())
            .collect();
        told.join(" ")
    };
    row.extend([
        each(|parcel| way(parcel.logistics).to_owned()),
        text(&each(|parcel| parcel.express_company.clone())),
        number(&text(&each(|parcel| parcel.tracking_no.clone()))),
    ]);
    row
}

fn lines(order: &Order) -> String {
    let line = |line: &crate::model::Line| {
        let spec = if line.spec.is_empty() {
            String::new()
        } else {
            format!(" {}", line.spec)
        };
        format!("{}{spec} ×{}", line.title, line.count)
    };
    let told: Vec<_> = order.lines.iter().map(line).collect();
    told.join("；")
}

/// `2026-01-01 14:05:10`, which a spreadsheet takes for a moment. Beijing time.
fn time(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.get(..19).unwrap_or(&text).replacen('T', " ", 1)
}

const fn status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending => "待付款",
        OrderStatus::Paid => "已付款",
        OrderStatus::Shipped => "已发货",
        OrderStatus::Completed => "已完成",
        OrderStatus::Closed => "已关闭",
        OrderStatus::Refunded => "已退款",
    }
}

const fn way(logistics: Logistics) -> &'static str {
    match logistics {
        Logistics::Courier => "快递",
        Logistics::SameCity => "同城配送",
        Logistics::Virtual => "虚拟商品",
        Logistics::PickUp => "自提",
    }
}

/// A number that is a name: behind a tab a spreadsheet shows all of its digits.
fn number(name: &str) -> String {
    match name.is_empty() {
        true => String::new(),
        false => format!("\t{}", name.trim_start()),
    }
}

/// What a person wrote: never a formula, and a long number keeps its digits.
///
/// A spreadsheet takes a cell for a formula by its first sign, some also behind blanks.
fn text(written: &str) -> String {
    let unseen = |c: char| c.is_whitespace() || c.is_control() || ZERO_WIDTH.contains(&c);
    let bare = written.trim_start_matches(unseen);
    if bare.starts_with(FORMULA) || written.starts_with(['\t', '\r', '\n']) {
        return format!("'{written}");
    }
    let digits = bare.len() > 11 && bare.bytes().all(|b| b.is_ascii_digit());
    match digits {
        true => number(bare),
        false => written.to_owned(),
    }
}

/// The signs that begin a formula, in their wide forms too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Signs that take no room.
const ZERO_WIDTH: [char; 5] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_a_formula_and_other_text_stays_as_it_is() {
        let formulas = [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "  =1",
            "＝1",
            "\u{feff}=1",
            "\u{a0}=cmd|' /C calc'!A0",
            "\t1",
        ];
        for formula in formulas {
            assert_eq!(text(formula), format!("'{formula}"), "{formula:?}");
        }
        for plain in ["", "茶", "a=1", "1+1", "请放门口", "138", "12345678901"] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(text("123456789012"), "\t123456789012");
        assert_eq!(
            number("4200000000202601010000000001"),
            "\t4200000000202601010000000001"
        );
        assert_eq!(number(""), "");
    }

    #[test]
    fn a_cell_with_commas_quotes_and_line_ends_stays_one_cell() {
        let cells = vec!["a,b".to_owned(), "\"c\"".to_owned(), "d\r\n=e".to_owned()];
        let table = written(std::iter::once(cells.clone()));
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).from_reader(table.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), cells);
    }
}
