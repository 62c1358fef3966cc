//! Known attacks on the console: another site's forms, planted sessions, guessed passwords.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::attacks::{probe_of, routes};
use crate::http::{Client, Reply};
use crate::sessions::{Browser, PASSWORD, admin, right, try_login};
use crate::world::World;

fn world() -> World {
    World::with(|setup| setup.may_be_refused = true)
}

/// The path of a row, with numbers that are really there.
struct Places {
    order_no: String,
    goods: u64,
}

impl Places {
    fn target(&self, pattern: &str) -> String {
        let filled = pattern.replace("{order_no}", &self.order_no);
        let filled = filled.replace("{out_trade_no}", &self.order_no);
        let filled = filled.replace("{date}", "2026-01-01");
        let filled = filled.replace("{id}", &self.goods.to_string());
        filled.replace("{refund_no}", &self.order_no)
    }
}

fn with_order(world: &World) -> Places {
    let goods = world.merchant().sells("茶", 100, 10);
    let order_no = world.buyer().order(goods, 1);
    Places { order_no, goods }
}

const LOGIN: &str = "/admin/v1/session";

#[test]
fn no_write_of_the_console_is_taken_without_its_own_csrf_token() {
    let world = world();
    let places = with_order(&world);
    admin(&world, "boss");
    let (browser, other) = (
        Browser::login(&world, "boss"),
        Browser::login(&world, "boss"),
    );
    let before = world.everything();
    let mut tried = 0;
    for (method, pattern) in routes() {
        let is_write = method != "GET" && pattern.starts_with("/admin/");
        if !is_write || (method == "POST" && pattern == LOGIN) {
            continue;
        }
        tried += 1;
        let target = places.target(pattern);
        let body = serde_json::from_slice(&probe_of(&method, pattern).body.good());
        let body = body.unwrap_or(Value::Null);
        let half = browser.csrf[..20].to_owned();
        let swapped = browser.csrf.to_ascii_uppercase();
        for headers in [
            &[][..],
            &[("x-csrf-token", "")],
            &[("x-csrf-token", "null")],
            &[("x-csrf-token", half.as_str())],
            &[("x-csrf-token", swapped.as_str())],
            &[("x-csrf-token", other.csrf.as_str())],
            &[("x-csrf-token", browser.cookie.split_once('=').unwrap().1)],
            &[
                ("content-type", "text/plain"),
                ("origin", "https://evil.example"),
            ],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[("content-type", "multipart/form-data; boundary=x")],
            &[("x-requested-with", "XMLHttpRequest")],
        ] {
            let reply = browser.send(&world, (&method, &target), headers, &body);
            let got = (reply.status, reply.code());
            let wanted = (403, "CSRF_INVALID".to_owned());
            assert_eq!(
                got,
                wanted,
                "{method} {target} {headers:?}: {}",
                reply.text()
            );
        }
        let in_query = format!("{target}?csrf_token={0}&x-csrf-token={0}", browser.csrf);
        let reply = browser.send(&world, (&method, &in_query), &[], &body);
        reply.refuses(403, "CSRF_INVALID");
    }
    assert!(tried >= 10, "{tried}");
    assert_eq!(world.everything(), before);
    assert!(browser.is_logged_in(&world), "a forged DELETE logged out");
}

#[test]
fn a_get_changes_nothing_whatever_it_pretends_to_be() {
    let world = world();
    let places = with_order(&world);
    admin(&world, "boss");
    let browser = Browser::login(&world, "boss");
    let before = world.everything();
    let bearer = world.merchant().caller.bearer;
    let pretences = [
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "POST"),
        ("x-method-override", "PATCH"),
    ];
    for (method, pattern) in routes() {
        if method != "GET" || pattern == "/admin/v1/events" {
            continue;
        }
        let target = format!("{}?_method=DELETE", places.target(pattern));
        let own = [
            ("cookie", browser.cookie.as_str()),
            ("x-csrf-token", &browser.csrf),
        ];
        for who in [&own[..], &[("authorization", bearer.as_str())]] {
            let headers = [who, &pretences[..]].concat();
            let mut client = world.anyone();
            let reply = client.send("GET", &target, &headers, b"").unwrap();
            assert!(
                reply.status < 500 || reply.status == 502,
                "{target}: {}",
                reply.text()
            );
        }
    }
    assert_eq!(world.everything(), before);
    assert!(browser.is_logged_in(&world));
    // A pretended method is not taken on a write either.
    let target = places.target("/admin/v1/goods/{id}");
    let headers = [("x-csrf-token", browser.csrf.as_str()), pretences[0]];
    let reply = browser.send(&world, ("POST", &target), &headers, &Value::Null);
    reply.refuses(405, "METHOD_NOT_ALLOWED");
}

#[test]
fn another_site_can_neither_log_its_visitor_in_nor_read_an_answer() {
    let world = world();
    admin(&world, "boss");
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain;charset=application/json",
        "application/jsonx",
    ] {
        let reply = try_login(&world, &[("content-type", content_type)], &right("boss"));
        reply.refuses(400, "INVALID_REQUEST");
        assert!(
            reply.message.header("set-cookie").is_none(),
            "{content_type}"
        );
    }
    for site in ["cross-site", "same-site", "x"] {
        let reply = try_login(&world, &[("sec-fetch-site", site)], &right("boss"));
        reply.refuses(403, "CSRF_INVALID");
        assert!(reply.message.header("set-cookie").is_none(), "{site}");
    }
    let origin = ("origin", "https://evil.example");
    let preflight = [origin, ("access-control-request-method", "DELETE")];
    for (_, pattern) in routes() {
        for (method, headers) in [("OPTIONS", &preflight[..]), ("GET", &[origin])] {
            let mut client = world.anyone();
            let reply = client.send(method, pattern, headers, b"").unwrap();
            let allows = |(name, _): &&(String, String)| name.starts_with("access-control-");
            let allowed = reply.message.headers.iter().find(allows);
            assert_eq!(allowed, None, "{method} {pattern}");
        }
    }
    let own = [
        ("content-type", "application/json; charset=utf-8"),
        ("sec-fetch-site", "same-origin"),
    ];
    try_login(&world, &own, &right("boss")).expect(200);
}

#[test]
fn a_session_that_a_client_chose_is_never_taken_up() {
    let world = world();
    admin(&world, "boss");
    let chosen = "A".repeat(43);
    let planted = Browser {
        cookie: format!("zhanggui_session={chosen}"),
        csrf: String::new(),
    };
    assert!(!planted.is_logged_in(&world));
    let mut seen = vec![chosen.clone()];
    for _ in 0..3 {
        let brought = seen.last().unwrap().clone();
        let cookie = format!("zhanggui_session={brought}");
        let headers = [
            ("cookie", cookie.as_str()),
            ("x-session-id", chosen.as_str()),
        ];
        let reply = try_login(&world, &headers, &right("boss"));
        let browser = Browser::from(&reply);
        let token = browser.cookie.split_once('=').unwrap().1.to_owned();
        assert!(!seen.contains(&token), "a token was given again");
        assert!(browser.is_logged_in(&world));
        // What was brought opens nothing, whether it was planted or a session before.
        let before = Browser {
            cookie,
            csrf: browser.csrf.clone(),
        };
        assert!(!before.is_logged_in(&world), "{brought}");
        seen.push(token);
    }
    let wrong = json!({ "username": "boss", "password": "wrong password" });
    let reply = try_login(&world, &[("cookie", &planted.cookie)], &wrong);
    reply.refuses(401, "UNAUTHENTICATED");
    assert!(reply.message.header("set-cookie").is_none());
    let in_query = format!("{LOGIN}?zhanggui_session={}", seen.last().unwrap());
    let mut client = world.anyone();
    client
        .send("GET", &in_query, &[], b"")
        .unwrap()
        .refuses(401, "UNAUTHENTICATED");
}

#[test]
fn a_cookie_counts_for_nothing_beside_a_key_or_on_a_buyers_route() {
    let world = world();
    admin(&world, "boss");
    let browser = Browser::login(&world, "boss");
    for bearer in ["Bearer zk_wrong", "Bearer ", "Basic Ym9zczpib3Nz", "x"] {
        let headers = [
            ("authorization", bearer),
            ("x-csrf-token", browser.csrf.as_str()),
        ];
        let reply = browser.send(&world, ("GET", "/admin/v1/goods"), &headers, &Value::Null);
        reply.refuses(401, "UNAUTHENTICATED");
    }
    let reply = browser.call(&world, "GET", "/api/v1/orders", &Value::Null);
    reply.refuses(401, "TOKEN_INVALID");
    let token = browser.cookie.split_once('=').unwrap().1;
    let bearer = format!("Bearer {token}");
    let mut client = world.anyone();
    let headers = [("authorization", bearer.as_str())];
    let reply = client
        .send("GET", "/admin/v1/goods", &headers, b"")
        .unwrap();
    reply.refuses(401, "UNAUTHENTICATED");
}

fn guess(world: &World, name: &str, from: &str) -> Reply {
    let body = json!({ "username": name, "password": "wrong password" });
    try_login(world, &[("x-forwarded-for", from)], &body)
}

fn behind_a_proxy(more: &[(&'static str, i64)]) -> World {
    World::with(|setup| {
        setup.may_be_refused = true;
        let proxies = toml::Value::Array(vec!["127.0.0.1".into()]);
        setup.more.push(("server.trusted_proxies", proxies));
        setup
            .more
            .extend(more.iter().map(|(key, value)| (*key, (*value).into())));
    })
}

#[test]
fn a_guesser_waits_and_the_merchant_elsewhere_does_not() {
    let world = behind_a_proxy(&[("limits.login_failures_before_lock", 3)]);
    admin(&world, "boss");
    for name in ["boss", "nobody"] {
        let answers: Vec<Reply> = (0..4).map(|_| guess(&world, name, "203.0.113.9")).collect();
        let texts: Vec<String> = answers
            .iter()
            .map(|reply| {
                let mut body = reply.json();
                body["request_id"] = Value::Null;
                format!("{} {body}", reply.status)
            })
            .collect();
        assert_eq!(texts[0], texts[2], "{name}");
        answers[2].refuses(401, "UNAUTHENTICATED");
        answers[3].refuses(429, "RATE_LIMITED");
        let wait = answers[3].message.header("retry-after").unwrap();
        assert!((58..=60).contains(&wait.parse::<u64>().unwrap()), "{wait}");
    }
    // The right password does not help the guesser, and the guesser does not hurt the merchant.
    let from = |address: &str| try_login(&world, &[("x-forwarded-for", address)], &right("boss"));
    from("203.0.113.9").refuses(429, "RATE_LIMITED");
    from("198.51.100.7").expect(200);
}

#[test]
fn a_name_that_exists_is_not_told_by_the_time_of_the_answer() {
    let world = behind_a_proxy(&[]);
    admin(&world, "boss");
    let mut times = [vec![], vec![]];
    for round in 0..9_u8 {
        for (times, name) in times.iter_mut().zip(["boss", "nobody"]) {
            let begun = Instant::now();
            guess(&world, name, &format!("203.0.113.{round}")).refuses(401, "UNAUTHENTICATED");
            times.push(begun.elapsed());
        }
    }
    let [boss, nobody] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    // One hash against none would be twenty times, not three.
    assert!(
        boss < nobody * 3 && nobody < boss * 3,
        "{boss:?} {nobody:?}"
    );
}

/// Ends the flood also when the test fails: its threads are waited for.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn buyers_are_served_while_logins_flood_in() {
    const FLOODERS: u8 = 24;
    const PURCHASES: usize = 40;
    let world = behind_a_proxy(&[]);
    let tea = world.merchant().sells("茶", 100, 1000);
    let buyer = world.buyer();
    let (stop, judged, turned_away) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let flood = |number: u8| {
        let mut client = Client::new(&world.place);
        let mut last = 0_u16;
        while !stop.load(Ordering::Relaxed) {
            last = last.wrapping_add(1);
            let [high, low] = last.to_be_bytes();
            let from = Ipv4Addr::new(10, number, high, low).to_string();
            // Another name each time: one name would soon be locked, and cost nothing.
            let name = format!("boss {number} {last}");
            let body = json!({ "username": name, "password": PASSWORD });
            let headers = [("x-forwarded-for", from.as_str())];
            let body = body.to_string();
            let reply = client
                .send("POST", LOGIN, &headers, body.as_bytes())
                .unwrap();
            match reply.status {
                401 => judged.fetch_add(1, Ordering::Relaxed),
                429 => turned_away.fetch_add(1, Ordering::Relaxed),
                other => panic!("{other}: {}", reply.text()),
            };
        }
    };
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        let ends = Ends(&stop);
        for number in 0..FLOODERS {
            let flood = &flood;
            scope.spawn(move || flood(number));
        }
        crate::wait::until("the flood is there", || {
            turned_away.load(Ordering::Relaxed) > 0
        });
        for _ in 0..PURCHASES {
            let begun = Instant::now();
            let order_no = buyer.order(tea, 1);
            buyer.see(&order_no);
            slowest = slowest.max(begun.elapsed());
        }
        drop(ends);
    });
    let (judged, turned_away) = (judged.into_inner(), turned_away.into_inner());
    crate::wait::say(&format!(
        "{judged} guesses were judged, {turned_away} turned away; slowest purchase {slowest:?}"
    ));
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let orders = world.merchant().orders_with(tea);
    assert_eq!(orders.len(), PURCHASES);
}
