//! Rates and sizes under attack, addresses that are made up, and a machine out of descriptors.

use serde_json::Value;
use toml::Value as Toml;

use crate::limits::world;
use crate::siege::{Siege, purchases};
use crate::world::World;

/// The whole of a 429, or nothing to say about another status.
fn check_limited(text: &str) {
    if !text.starts_with("HTTP/1.1 429 ") {
        return;
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let wait: u64 = header("retry-after: ").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], "RATE_LIMITED");
    assert_eq!(body["request_id"].as_str(), header("x-request-id: "));
}

fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: t\r\n{headers}\r\n")
}

fn post(target: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nhost: t\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// Every attacker sends `texts` over and over, each on a connection of its own.
fn flood(world: &World, from: &[&str], texts: Vec<String>) -> Siege {
    Siege::lay(world, from, 8, move |a| {
        let texts = texts.clone();
        async move {
            for text in &texts {
                // A connection that is ended early is an answer too.
                if let Ok(answer) = a.ask(text).await {
                    check_limited(&answer);
                }
            }
            Ok(())
        }
    })
}

#[test]
fn buyers_are_served_while_an_address_asks_too_often() {
    let (world, tea) = world(&[("limits.requests_per_minute_per_ip", 60)]);
    let bogus = "authorization: Bearer 0123456789abcdef0123456789abcdef\r\n";
    let key = "authorization: Bearer zk_0123456789abcdef0123456789abcdef\r\n";
    let texts = vec![
        get("/api/v1/goods", ""),
        get("/nowhere", ""),
        get("/api/v1/orders", bogus),
        get("/admin/v1/orders", key),
        // Nobody here is a trusted proxy: what it says of others is not believed.
        get("/api/v1/goods", "x-forwarded-for: 192.0.2.1\r\n"),
    ];
    let siege = flood(&world, &["127.0.0.2"], texts);
    siege.until("it is limited", |t| t.limited() > 100);
    let before = siege.tally.limited();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.limited() > before);
    // A minute's allowance, and what a minute more would give.
    let served = siege.tally.answered(2) + siege.tally.answered(4);
    assert!(served <= 120, "{served} answers");
}

#[test]
fn buyers_log_in_while_an_address_tries_codes() {
    let (world, tea) = world(&[("limits.login_per_minute_per_ip", 20)]);
    let text = post("/api/v1/token", "", "{\"code\":\"no-such-code\"}");
    let siege = flood(&world, &["127.0.0.2"], vec![text]);
    siege.until("it is limited", |t| t.limited() > 100);
    let before = siege.tally.limited();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.limited() > before);
    assert!(siege.tally.answered(4) <= 40, "{:?}", siege.tally);
}

#[test]
fn buyers_are_served_while_one_of_them_asks_too_often() {
    let (world, tea) = world(&[("limits.requests_per_minute_per_token", 60)]);
    let greedy = world.buyer();
    let token = format!("authorization: {}\r\n", greedy.caller.bearer);
    let siege = flood(&world, &["127.0.0.2"], vec![get("/api/v1/orders", &token)]);
    siege.until("it is limited", |t| t.limited() > 100);
    let before = siege.tally.limited();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.limited() > before);
    assert!(siege.tally.answered(2) <= 120, "{:?}", siege.tally);
}

#[test]
fn payments_are_told_while_forged_notices_come_in() {
    let (world, tea) = world(&[("limits.forged_notify_per_minute_per_ip", 20)]);
    let v3 = "wechatpay-serial: PUB_KEY_ID_0\r\nwechatpay-timestamp: 1\r\n\
        wechatpay-nonce: n\r\nwechatpay-signature: c2ln\r\n";
    let v2 = "<xml><out_trade_no>1</out_trade_no><sign>00</sign></xml>";
    let (pay_v3, pay_v2) = (
        post("/wx/pay/notify", v3, "{}"),
        post("/wx/pay/notify", "", v2),
    );
    let refund_v3 = post("/wx/refund/notify", v3, "{}");
    let refund_v2 = post("/wx/refund/notify", "", v2);
    let target = "/wx/message?signature=0&timestamp=1&nonce=2";
    let pushes = vec![post(target, "", v2), get(target, "")];
    // Each kind from an address of its own: each must count by itself.
    let sieges = [
        flood(&world, &["127.0.0.2"], vec![pay_v3, refund_v3]),
        flood(&world, &["127.0.0.3"], vec![pay_v2, refund_v2]),
        flood(&world, &["127.0.0.4"], pushes),
    ];
    for siege in &sieges {
        siege.until("it is limited", |t| t.limited() > 50);
    }
    let before = sieges.each_ref().map(|siege| siege.tally.limited());
    purchases(&world, tea);
    for (siege, before) in sieges.iter().zip(before) {
        siege.until("it went on meanwhile", |t| t.limited() > before);
        // What is beyond the allowance is not verified: 20 a minute, 8 at once, one minute more.
        let verified = siege.tally.answered(2) + siege.tally.answered(4);
        assert!((20..=48).contains(&verified), "{verified} were verified");
    }
}

#[test]
fn what_a_trusted_proxy_names_is_counted_and_what_its_client_made_up_is_not() {
    let world = World::with(|setup| {
        let proxies = vec![Toml::String("127.0.0.9".to_owned())];
        setup.more = vec![
            ("limits.requests_per_minute_per_ip", Toml::Integer(60)),
            ("server.trusted_proxies", Toml::Array(proxies)),
        ];
    });
    let tea = world.merchant().sells("茶", 100, 1_000);
    // All come from 203.0.113.7 through the proxy, whatever they write before that.
    let chains = [
        "x-forwarded-for: 203.0.113.7\r\n",
        "x-forwarded-for: 198.51.100.1, 203.0.113.7\r\n",
        "x-forwarded-for: 198.51.100.2\r\nx-forwarded-for: 203.0.113.7\r\n",
        "x-forwarded-for: [2001:db8::1%eth0]:80, 203.0.113.7:4711\r\n",
        "x-forwarded-for: ' OR 1=1, ::ffff:203.0.113.7\r\n",
        "x-forwarded-for: 198.51.100.3,, 203.0.113.7, 127.0.0.9\r\n",
    ];
    let texts = chains.map(|chain| get("/api/v1/goods", chain)).to_vec();
    let siege = flood(&world, &["127.0.0.9"], texts);
    siege.until("it is limited", |t| t.limited() > 100);
    purchases(&world, tea);
    assert!(siege.tally.answered(2) <= 120, "{:?}", siege.tally);
    drop(siege);
    let neighbour = get("/api/v1/goods", "x-forwarded-for: 203.0.113.8\r\n");
    let siege = flood(&world, &["127.0.0.9"], vec![neighbour]);
    siege.until("another is served", |t| t.answered(2) > 20);
}

#[test]
fn buyers_are_served_while_everything_is_too_large() {
    let (world, tea) = world(&[("limits.max_body_kb", 16)]);
    let deep = "[".repeat(10_000);
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let cases = [
        (413, post("/api/v1/token", "", &"x".repeat(17 * 1024))),
        (413, {
            let head = format!("POST /wx/pay/notify HTTP/1.1\r\nhost: t\r\n{chunked}");
            head + &chunk + &chunk + "0\r\n\r\n"
        }),
        (400, post("/api/v1/token", "", &deep)),
        (400, post("/wx/pay/notify", "", &deep)),
        (
            400,
            post("/api/v1/token", "", &format!("{{\"code\":{deep}")),
        ),
        (414, get(&format!("/{}", "x".repeat(9_000)), "")),
        (431, get("/", &format!("x: {}\r\n", "x".repeat(33_000)))),
        (431, get("/", &"x: y\r\n".repeat(101))),
        (400, "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned()),
    ];
    let siege = Siege::lay(&world, &["127.0.0.2"], 4, move |a| {
        let cases = cases.clone();
        async move {
            for (status, text) in &cases {
                let answer = a.ask(text).await?;
                let wanted = format!("HTTP/1.1 {status} ");
                let shown: String = text.chars().take(60).collect();
                assert!(answer.starts_with(&wanted), "{shown}: {answer}");
                assert!(answer.contains("\"request_id\":"), "{answer}");
                if text.contains("[[[") {
                    assert!(answer.contains("嵌套超过 32 层"), "{answer}");
                }
                a.tally.passed();
            }
            Ok(())
        }
    });
    siege.until("each was refused", |t| t.all_passed() > 100);
    let before = siege.tally.all_passed();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.all_passed() > before + 50);
}

#[test]
fn buyers_are_served_by_a_machine_that_is_out_of_descriptors() {
    let mut world = World::with(|setup| {
        setup.descriptors = Some(64);
        setup.more = vec![("limits.max_connections_per_ip", Toml::Integer(1_000))];
    });
    let tea = world.merchant().sells("茶", 100, 1_000);
    let from = ["127.0.0.2", "127.0.0.3"];
    let siege = Siege::lay(&world, &from, 100, async |a| {
        let mut line = a.connect().await?;
        line.closed().await;
        Ok(())
    });
    siege.until("they push each other out", |t| t.closed() > 200);
    let before = siege.tally.closed();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.closed() > before);
    drop(siege);
    assert!(world.server().ended().is_none());
    assert!(
        world.log().contains("ulimit -n"),
        "the operator is not told"
    );
}

#[test]
fn buyers_are_served_when_descriptors_run_out_in_spite_of_all() {
    let (mut world, tea) = world(&[
        ("limits.max_connections", 40),
        ("limits.max_connections_per_ip", 40),
    ]);
    purchases(&world, tea);
    // Too few for all the seats; half of them leave some for calls to WeChat.
    let pid = world.server().pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    let limit = format!("--nofile={}", open + 28);
    let lowered = std::process::Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &limit])
        .status();
    assert!(lowered.unwrap().success());
    let from = ["127.0.0.2", "127.0.0.3"];
    let siege = Siege::lay(&world, &from, 100, async |a| {
        let mut line = a.connect().await?;
        line.closed().await;
        Ok(())
    });
    crate::wait::until("descriptors have run out", || {
        world.log().contains("Too many open files")
    });
    siege.until("they push each other out", |t| t.closed() > 200);
    let before = siege.tally.closed();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.closed() > before);
    drop(siege);
    assert!(world.server().ended().is_none());
}
