//! `/metrics`: who may read it, that it can be read, and that every number moves when its thing
//! happens.

use serde_json::json;

use crate::certificates::certified;
use crate::exposition::Exposition;
use crate::http::{Client, Reply};
use crate::wait;
use crate::world::World;

type Labels<'a> = &'a [(&'a str, &'a str)];

fn ask(world: &World, headers: &[(&str, &str)]) -> Reply {
    let mut client = Client::new(&world.place);
    client.send("GET", "/metrics", headers, b"").unwrap()
}

#[track_caller]
fn told(world: &World) -> Exposition {
    let reply = ask(world, &[]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let kind = reply.message.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    Exposition::read(&reply.text())
}

#[test]
fn metrics_are_for_this_machine_and_for_who_shows_the_token() {
    let token = "prometheus-0123456789";
    for configured in ["", token] {
        let world = World::with(|setup| {
            setup.more = vec![("server.metrics_token", configured.into())];
        });
        let (status, code) = match configured {
            "" => (404, "NOT_FOUND"),
            _ => (401, "UNAUTHENTICATED"),
        };
        assert_eq!(ask(&world, &[]).status, 200, "from this machine");
        for name in ["x-forwarded-for", "x-real-ip", "forwarded", "via"] {
            ask(&world, &[(name, "127.0.0.1")]).refuses(status, code);
        }
        let proxied = ("x-forwarded-for", "203.0.113.9");
        let bearers = [
            "Bearer ",
            "Bearer x",
            "Bearer prometheus-012345678",
            "Basic",
        ];
        for bearer in bearers {
            ask(&world, &[proxied, ("authorization", bearer)]).refuses(status, code);
        }
        let shown = format!("Bearer {token}");
        let reply = ask(&world, &[proxied, ("authorization", &shown)]);
        match configured {
            "" => reply.refuses(404, "NOT_FOUND"),
            _ => drop(Exposition::read(&reply.text())),
        }
    }
}

#[test]
fn a_trusted_proxy_on_this_machine_does_not_make_its_clients_local() {
    let world = World::with(|setup| {
        let proxies = vec![toml::Value::from("127.0.0.1")];
        setup.more = vec![("server.trusted_proxies", proxies.into())];
    });
    let own = ("x-forwarded-for", "127.0.0.1");
    ask(&world, &[own]).refuses(404, "NOT_FOUND");
}

/// Everything that is told of a shop with platform certificates, with its kind.
const PROMISED: [(&str, &str); 36] = [
    ("http_requests", "counter"),
    ("http_request_duration_seconds", "histogram"),
    ("http_connections", "gauge"),
    ("wechat_calls", "counter"),
    ("wechat_call_duration_seconds", "histogram"),
    ("wechat_clock_skew_seconds", "gauge"),
    ("notifies", "counter"),
    ("webhooks", "counter"),
    ("store_fdatasync_seconds", "histogram"),
    ("store_group_transactions", "histogram"),
    ("store_queue", "gauge"),
    ("store_rebuild_seconds", "histogram"),
    ("journal_bytes", "gauge"),
    ("journal_segments", "gauge"),
    ("base_files", "gauge"),
    ("base_bytes", "gauge"),
    ("base_timestamp_seconds", "gauge"),
    ("base_age_seconds", "gauge"),
    ("working_set_bytes", "gauge"),
    ("disk_free_bytes", "gauge"),
    ("disk_bytes", "gauge"),
    ("disk_low", "gauge"),
    ("base_failed", "gauge"),
    ("backup_timestamp_seconds", "gauge"),
    ("backup_failures", "gauge"),
    ("due_next_timestamp_seconds", "gauge"),
    ("due_overdue_seconds", "gauge"),
    ("orders", "counter"),
    ("paid_fen", "counter"),
    ("refunded_fen", "counter"),
    ("certificate_days", "gauge"),
    ("token_cache_entries", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_uptime_seconds", "gauge"),
    ("build", "info"),
];

#[track_caller]
fn all_are_told(told: &Exposition) {
    for (name, kind) in PROMISED {
        let known = told.families.get(&format!("zhanggui_{name}"));
        assert_eq!(known.map(String::as_str), Some(kind), "{name}");
    }
    assert_eq!(told.families.len(), PROMISED.len(), "{:?}", told.families);
}

/// A purchase, shipped, refunded; another order closed; a forged notify; a stray request.
fn business(world: &World) -> Vec<String> {
    let tea = world.merchant().sells("龙井", 400, 10);
    let buyer = world.buyer();
    let paid = buyer.order(tea, 2);
    world.wechat.pays(&buyer.pay(&paid));
    let merchant = world.merchant().caller;
    let ship = json!({ "logistics_type": 4, "item_desc": "龙井" });
    let target = format!("/admin/v1/orders/{paid}");
    merchant
        .call("POST", &format!("{target}/ship"), &ship)
        .expect(200);
    buyer.act(&paid, "receive").expect(200);
    let refund = json!({ "amount_fen": 300, "reason": "少发" });
    let made = merchant.call("POST", &format!("{target}/refunds"), &refund);
    let refund_no = made.expect(201)["refund_no"].as_str().unwrap().to_owned();
    let finish = format!("/sandbox/refunds/{refund_no}/finish");
    let good = json!({ "status": "SUCCESS" });
    world.wechat.call("POST", &finish, &good).expect(200);
    wait::until("the refund arrived", || {
        world.merchant().order(&paid)["refunded_fen"] == 300
    });
    let closed = buyer.order(tea, 1);
    buyer.act(&closed, "cancel").expect(200);
    let mut stranger = world.anyone();
    stranger.send("POST", "/wx/pay/notify", &[], b"{}").unwrap();
    stranger.send("GET", "/no/such/place", &[], b"").unwrap();
    vec![paid, closed, refund_no, buyer.openid.clone(), buyer.token]
}

#[test]
fn every_number_is_told_and_moves_when_its_thing_happens() {
    let world = certified();
    let before = told(&world);
    let named = business(&world);
    let after = told(&world);
    all_are_told(&after);
    let grew = |name: &str, labels: Labels<'_>| {
        let name = format!("zhanggui_{name}");
        after.sum(&name, labels) - before.sum(&name, labels)
    };
    let pay = ("route", "/api/v1/orders/{order_no}/pay");
    let exact: [(&str, Labels<'_>, f64); 17] = [
        (
            "http_requests_total",
            &[pay, ("method", "POST"), ("status", "2xx")],
            1.0,
        ),
        (
            "http_requests_total",
            &[("route", "none"), ("status", "4xx")],
            1.0,
        ),
        ("http_request_duration_seconds_count", &[pay], 1.0),
        (
            "wechat_calls_total",
            &[("call", "prepay"), ("result", "ok")],
            1.0,
        ),
        (
            "wechat_calls_total",
            &[("call", "login"), ("result", "ok")],
            1.0,
        ),
        (
            "wechat_call_duration_seconds_count",
            &[("call", "prepay")],
            1.0,
        ),
        (
            "notifies_total",
            &[("kind", "pay"), ("verdict", "applied")],
            1.0,
        ),
        (
            "notifies_total",
            &[("kind", "pay"), ("verdict", "refused")],
            1.0,
        ),
        (
            "notifies_total",
            &[("kind", "refund"), ("verdict", "applied")],
            1.0,
        ),
        ("orders_total", &[("event", "created")], 2.0),
        ("orders_total", &[("event", "paid")], 1.0),
        ("orders_total", &[("event", "shipped")], 1.0),
        ("orders_total", &[("event", "completed")], 1.0),
        ("orders_total", &[("event", "closed")], 1.0),
        ("orders_total", &[("event", "refunded")], 1.0),
        ("paid_fen_total", &[], 800.0),
        ("refunded_fen_total", &[], 300.0),
    ];
    for (name, labels, by) in exact {
        assert_eq!(grew(name, labels), by, "{name} {labels:?}");
    }
    for name in [
        "store_fdatasync_seconds_count",
        "store_group_transactions_sum",
        "journal_bytes",
        "token_cache_entries",
        "due_next_timestamp_seconds",
    ] {
        assert!(grew(name, &[]) > 0.0, "{name}");
    }
    for name in [
        "http_connections",
        "disk_free_bytes",
        "disk_bytes",
        "process_open_fds",
    ] {
        assert!(after.sum(&format!("zhanggui_{name}"), &[]) > 0.0, "{name}");
    }
    let values = after.label_values();
    for name in &named {
        assert!(
            !values.iter().any(|value| value.contains(name)),
            "{name} is told"
        );
    }
}
