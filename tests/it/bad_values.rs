//! Counts, amounts, numbers and lists that cannot be are refused, and nothing changes.

use serde_json::{Value, json};

use crate::probes::{Body, PROBES};
use crate::stage::{AMOUNT, INVALID, Stage};
use crate::world::World;

#[test]
fn goods_that_are_not_there_are_not_found() {
    let mut stage = Stage::set();
    for probe in PROBES
        .iter()
        .filter(|probe| probe.pattern.ends_with("/goods/{id}"))
    {
        for strange in ["999", "0", "-1", "x", "1.0", "99999999999999999999999"] {
            let mut case = stage.case(probe, strange, &probe.body.good());
            case.target = probe.pattern.replace("{id}", strange);
            stage.refused(&case, &[(404, "GOODS_NOT_FOUND")]);
        }
    }
    stage.end();
}

#[test]
fn an_order_of_impossible_counts_or_lines_is_refused() {
    let mut stage = Stage::set();
    let order = PROBES
        .iter()
        .find(|probe| probe.method == "POST" && probe.pattern.ends_with("orders"));
    let order = order.unwrap();
    let tea = stage.goods;
    let line = |count: &str| format!(r#"{{"lines":[{{"goods_id":{tea},"count":{count}}}]}}"#);
    for count in [
        "0",
        "-1",
        "10000",
        "-9223372036854775808",
        "9223372036854775807",
    ] {
        let case = stage.case(order, &format!("count {count}"), line(count).as_bytes());
        stage.refused(&case, &[AMOUNT]);
    }
    for count in [
        "1.5",
        "1e400",
        "9223372036854775808",
        "\"1\"",
        "null",
        "true",
        "[1]",
        "1e2",
    ] {
        let case = stage.case(order, &format!("count {count}"), line(count).as_bytes());
        stage.refused(&case, &[INVALID, AMOUNT]);
    }
    let one = format!(r#"{{"goods_id":{tea},"count":1}}"#);
    let many: Vec<String> = (1..=51)
        .map(|id| format!(r#"{{"goods_id":{id},"count":1}}"#))
        .collect();
    let lines = |lines: &str| format!(r#"{{"lines":[{lines}]}}"#);
    for (what, body) in [
        ("no line", lines("")),
        ("51 lines", lines(&many.join(","))),
        ("goods twice", lines(&format!("{one},{one}"))),
    ] {
        let case = stage.case(order, what, body.as_bytes());
        stage.refused(&case, &[AMOUNT]);
    }
    let priced = format!(r#"{{"lines":[{{"goods_id":{tea},"count":1,"price_fen":1}}]}}"#);
    let case = stage.case(order, "a price of the buyer's", priced.as_bytes());
    let reply = stage.refused(&case, &[INVALID]);
    assert!(reply.text().contains("price_fen"), "{}", reply.text());
    for key in ["", "a b", &"k".repeat(65), "钥匙"] {
        let mut case = stage.case(order, &format!("key {key}"), line("1").as_bytes());
        case.headers.push(("idempotency-key", key.to_owned()));
        stage.refused(&case, &[INVALID]);
    }
    stage.end();
}

#[test]
fn a_total_beyond_the_limit_is_refused_whatever_its_parts() {
    let world = World::start();
    let dear = world.merchant().sells("金", 1_000_000_000, 10_000);
    let buyer = world.buyer();
    let before = world.everything();
    for count in [2, 9999] {
        buyer.try_order(dear, count).refuses(422, "AMOUNT_INVALID");
    }
    assert_eq!(world.everything(), before);
    buyer.try_order(dear, 1).expect(201);
}

#[test]
fn goods_of_impossible_prices_or_stocks_are_refused() {
    let mut stage = Stage::set();
    let probes = PROBES
        .iter()
        .filter(|probe| probe.pattern.starts_with("/admin/v1/goods"));
    for probe in probes.filter(|probe| probe.body != Body::None) {
        let huge = "18446744073709551616";
        for (name, value) in [
            ("price_fen", "0"),
            ("price_fen", "-1"),
            ("price_fen", "1.5"),
            ("price_fen", "1000000001"),
            ("price_fen", huge),
            ("stock", "-1"),
            ("stock", "0.5"),
            ("stock", "18446744073709551615"),
            ("stock", huge),
        ] {
            let mut body: Value = serde_json::from_slice(&probe.body.good()).unwrap();
            body[name] = json!("HERE");
            let body = body.to_string().replace("\"HERE\"", value);
            let case = stage.case(probe, &format!("{name} {value}"), body.as_bytes());
            let reply = stage.refused(&case, &[INVALID, AMOUNT]);
            assert!(
                reply.text().contains(name),
                "{name} {value}: {}",
                reply.text()
            );
        }
    }
    stage.end();
}

#[test]
fn a_list_that_cannot_be_is_refused() {
    let mut stage = Stage::set();
    let lists = [
        "/api/v1/goods",
        "/api/v1/orders",
        "/admin/v1/goods",
        "/admin/v1/orders",
    ];
    let probes = PROBES.iter().filter(|probe| probe.method == "GET");
    for probe in probes.filter(|probe| lists.contains(&probe.pattern)) {
        let mut queries = vec!["limit=0", "limit=101", "limit=-1", "limit=x", "limit=1.5"];
        queries.extend([
            "limit=99999999999999999999",
            "cursor=x",
            "cursor=%00",
            "cursor=AAAA",
        ]);
        if probe.pattern.ends_with("orders") {
            queries.extend(["status=unknown", "status=PAID"]);
        }
        for query in queries {
            let mut case = stage.case(probe, query, b"");
            case.target = format!("{}?{query}", case.target);
            stage.refused(&case, &[INVALID]);
        }
    }
    stage.end();
}
