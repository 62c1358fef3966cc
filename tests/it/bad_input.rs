//! For every route: what is empty, mistyped, unknown, oversized, misdirected or not allowed is
//! refused with the contract's status and code, and nothing changes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zhanggui::web::Router;

use crate::probes::{Body, PROBES, Probe, Who};
use crate::stage::{INVALID, Stage};

#[test]
fn every_route_is_probed() {
    let router = Router::new(zhanggui::routes::table());
    let served: BTreeSet<String> = router
        .rows()
        .map(|(method, pattern)| format!("{method} {pattern}"))
        .collect();
    let probed: BTreeSet<String> = PROBES
        .iter()
        .map(|probe| format!("{} {}", probe.method, probe.pattern))
        .collect();
    assert_eq!(probed, served);
}

#[test]
fn a_method_that_a_route_does_not_have_is_refused() {
    let mut stage = Stage::set();
    let patterns: BTreeSet<&str> = PROBES.iter().map(|probe| probe.pattern).collect();
    for pattern in patterns {
        let known: BTreeSet<&str> = PROBES
            .iter()
            .filter(|probe| probe.pattern == pattern)
            .map(|probe| probe.method)
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if known.contains(method) {
                continue;
            }
            let probe = Probe {
                method,
                pattern,
                who: Who::Merchant,
                body: Body::None,
            };
            let case = stage.case(&probe, "a method it does not have", b"{}");
            let reply = stage.refused(&case, &[(405, "METHOD_NOT_ALLOWED")]);
            let allow: BTreeSet<&str> = reply
                .message
                .header("allow")
                .unwrap_or("")
                .split(", ")
                .collect();
            assert_eq!(allow, known, "{method} {pattern}");
        }
    }
    stage.end();
}

#[test]
fn a_route_that_asks_who_calls_takes_no_other() {
    let mut stage = Stage::set();
    let (buyers, merchants) = (
        stage.buyer.caller.bearer.clone(),
        stage.world.merchant().caller.bearer,
    );
    for probe in PROBES {
        let (wanted, other) = match probe.who {
            Who::Anyone => continue,
            Who::Buyer => ((401, "TOKEN_INVALID"), &merchants),
            Who::Merchant => ((401, "UNAUTHENTICATED"), &buyers),
        };
        let strangers = [
            "Bearer 0123456789abcdef0123456789abcdef".to_owned(),
            "Bearer zk_0123456789abcdef".to_owned(),
            "Bearer ".to_owned(),
            "Basic YTpi".to_owned(),
            other.clone(),
            buyers.to_uppercase(),
            format!("{buyers}0"),
        ];
        let mut case = stage.case(probe, "no token", &probe.body.good());
        case.headers.clear();
        stage.refused(&case, &[wanted]);
        for bearer in strangers {
            case.what = format!("{} {}: {bearer}", probe.method, probe.pattern);
            case.headers = vec![("authorization", bearer)];
            stage.refused(&case, &[wanted]);
        }
    }
    stage.end();
}

#[test]
fn a_body_that_is_no_json_object_of_the_route_is_refused() {
    let mut stage = Stage::set();
    for probe in PROBES {
        let (Body::Fields(fields) | Body::Optional(fields)) = probe.body else {
            continue;
        };
        let good = String::from_utf8(probe.body.good()).unwrap();
        let (name, value) = (fields[0].name, fields[0].good);
        let bodies = [
            ("an empty body", String::new()),
            ("blank", "  ".to_owned()),
            ("an array", "[]".to_owned()),
            ("a text", "\"text\"".to_owned()),
            ("null", "null".to_owned()),
            ("half", good[..good.len() - 1].to_owned()),
            ("twice", format!("{good}{good}")),
            ("no JSON", "code=1".to_owned()),
            (
                "a field twice",
                format!("{{\"{name}\":{value},{}", &good[1..]),
            ),
            ("deep", "[".repeat(1000)),
        ];
        for (what, body) in bodies {
            if body.is_empty() && probe.body == Body::Optional(fields) {
                continue;
            }
            let case = stage.case(probe, what, body.as_bytes());
            stage.refused(&case, &[INVALID]);
        }
        let case = stage.case(probe, "not UTF-8", b"{\"code\":\"\xff\xfe\"}");
        stage.refused(&case, &[INVALID]);
    }
    stage.end();
}

#[test]
fn a_field_that_is_unknown_missing_or_of_another_type_is_refused_by_name() {
    let mut stage = Stage::set();
    for probe in PROBES {
        let fields = match probe.body {
            Body::Fields(fields) | Body::Optional(fields) => fields,
            Body::Empty => &[],
            Body::None | Body::Foreign => continue,
        };
        let mut whole: Value = serde_json::from_slice(&probe.body.good()).unwrap();
        whole["no_such_field"] = json!(1);
        let case = stage.case(probe, "an unknown field", whole.to_string().as_bytes());
        let reply = stage.refused(&case, &[INVALID]);
        assert!(
            reply.text().contains("no_such_field"),
            "{}: {}",
            case.what,
            reply.text()
        );
        for field in fields {
            let good: Value = serde_json::from_slice(&probe.body.good()).unwrap();
            let mut wrong: Vec<Value> = field.wrong_types();
            if field.required {
                wrong.push(Value::Null);
                let mut without = good.clone();
                without.as_object_mut().unwrap().remove(field.name);
                let what = format!("no {}", field.name);
                let case = stage.case(probe, &what, without.to_string().as_bytes());
                stage.refused(&case, &[INVALID]);
            }
            for value in wrong {
                let mut body = good.clone();
                body[field.name] = value.clone();
                let what = format!("{} is {value}", field.name);
                let case = stage.case(probe, &what, body.to_string().as_bytes());
                let reply = stage.refused(&case, &[INVALID]);
                assert!(
                    reply.text().contains(field.name),
                    "{what}: {}",
                    reply.text()
                );
            }
        }
    }
    stage.end();
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let mut stage = Stage::set();
    for probe in PROBES {
        let (Body::Fields(fields) | Body::Optional(fields)) = probe.body else {
            continue;
        };
        for field in fields.iter().filter(|field| field.chars > 0) {
            let mut body: Value = serde_json::from_slice(&probe.body.good()).unwrap();
            body[field.name] = json!("长".repeat(field.chars + 1));
            let what = format!("{} of {} characters", field.name, field.chars + 1);
            let case = stage.case(probe, &what, body.to_string().as_bytes());
            stage.refused(&case, &[INVALID]);
        }
    }
    stage.end();
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let mut stage = Stage::set();
    let long = "x".repeat(65 * 1024);
    for probe in PROBES.iter().filter(|probe| probe.body != Body::None) {
        let body = format!("{{\"code\":\"{long}\"}}");
        let case = stage.case(probe, "65 KiB", body.as_bytes());
        stage.refused(&case, &[(413, "BODY_TOO_LARGE")]);
    }
    stage.end();
}

#[test]
fn someone_elses_order_and_no_order_are_the_same() {
    let mut stage = Stage::set();
    let stranger = stage.stranger.caller.bearer.clone();
    let order_no = stage.order_no.clone();
    let probes = PROBES
        .iter()
        .filter(|probe| probe.pattern.contains("{order_no}"));
    for probe in probes {
        let mut case = stage.case(probe, "someone else's", &probe.body.good());
        let whole = case.target.clone();
        if probe.who == Who::Buyer {
            case.headers = vec![("authorization", stranger.clone())];
            stage.refused(&case, &[(404, "ORDER_NOT_FOUND")]);
        }
        case.headers = stage.bearer(probe.who);
        for strange in [
            "20260101000000ABCDEFGHIJ",
            "0",
            "a%20b",
            "%00",
            "%2e%2e%2fx",
            "订单",
        ] {
            case.target = whole.replace(&order_no, strange);
            case.what = format!("{} {}", probe.method, case.target);
            stage.refused(&case, &[(404, "ORDER_NOT_FOUND")]);
        }
    }
    stage.end();
}
