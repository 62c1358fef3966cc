//! Each limit under attack: from other addresses somebody does their worst, and buyers buy.

use std::time::Duration;

use serde_json::json;
use toml::Value as Toml;

use crate::siege::{Siege, purchases, resident_kib};
use crate::world::World;

/// A world with these limits, and an article on sale.
pub(crate) fn world(limits: &[(&'static str, i64)]) -> (World, u64) {
    let world = World::with(|setup| {
        let limits = limits.iter();
        setup.more = limits.map(|(key, n)| (*key, Toml::Integer(*n))).collect();
        setup.may_be_refused = true;
    });
    let goods = world.merchant().sells("茶", 100, 1_000);
    (world, goods)
}

#[test]
fn buyers_are_served_while_heads_trickle_in() {
    let (world, tea) = world(&[
        ("limits.max_connections", 60),
        ("limits.max_connections_per_ip", 20),
        ("limits.head_s", 1),
    ]);
    let siege = Siege::lay(
        &world,
        &["127.0.0.2", "127.0.0.3", "127.0.0.4"],
        40,
        async |a| {
            let mut line = a.connect().await?;
            line.say(b"GET /api/v1/goods HTTP/1.1\r\nhost: t\r\n")
                .await?;
            while !line.has_news() {
                line.say(b"x: y\r\n").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            line.closed().await;
            Ok(())
        },
    );
    siege.until("slow heads are cut off", |t| t.closed() > 60);
    let before = siege.tally.closed();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.closed() > before);
    assert_eq!(siege.tally.answered(2), 0);
}

#[test]
fn buyers_are_served_while_bodies_trickle_in() {
    let (world, tea) = world(&[("limits.max_running_per_ip", 16), ("limits.body_s", 2)]);
    let siege = Siege::lay(&world, &["127.0.0.2", "127.0.0.3"], 40, async |a| {
        let mut line = a.connect().await?;
        let head = "POST /wx/pay/notify HTTP/1.1\r\nhost: t\r\ncontent-length: 9999\r\n\r\n";
        line.say(head.as_bytes()).await?;
        for _ in 0..200 {
            line.say(b"<").await?;
            if line.has_news() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        line.answer().await.map(drop)
    });
    siege.until("more at once are refused", |t| t.limited() > 20);
    siege.until("slow bodies are cut off", |t| {
        t.closed() + t.answered(4) > 20
    });
    let before = siege.tally.limited();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.limited() > before);
}

#[test]
fn buyers_are_served_while_idle_connections_fill_every_seat() {
    let (world, tea) = world(&[
        ("limits.max_connections", 100),
        ("limits.max_connections_per_ip", 60),
    ]);
    let from = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];
    // 2,000 want to hold on; whoever is closed comes back at once.
    let siege = Siege::lay(&world, &from, 500, async |a| {
        let mut line = a.connect().await?;
        line.closed().await;
        Ok(())
    });
    siege.until("they push each other out", |t| t.closed() > 2_000);
    let before = siege.tally.closed();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.closed() > before);
    let held = siege.tally.connected() - siege.tally.closed();
    assert!(held <= 2_000, "{held}");
}

#[test]
fn one_address_holds_only_its_share_of_idle_connections() {
    let (mut world, tea) = world(&[
        ("limits.max_connections_per_ip", 60),
        ("limits.head_s", 600),
    ]);
    let siege = Siege::lay(&world, &["127.0.0.2"], 500, async |a| {
        let mut line = a.connect().await?;
        line.closed().await;
        std::future::pending::<()>().await;
        Ok(())
    });
    siege.until("the rest was closed", |t| {
        (t.connected(), t.closed()) == (500, 440)
    });
    purchases(&world, tea);
    assert_eq!(siege.tally.closed(), 440);
    assert!(sockets(&mut world) < 60 + 60);
}

/// How many sockets the server holds.
fn sockets(world: &mut World) -> usize {
    let pid = world.server().pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let is_socket = |link: &std::path::PathBuf| link.to_string_lossy().starts_with("socket:");
    links.filter(is_socket).count()
}

#[test]
fn ten_thousand_idle_connections_lie_in_bounded_memory_and_buyers_are_served() {
    let (mut world, tea) = world(&[
        ("limits.max_connections", 11_000),
        ("limits.max_connections_per_ip", 1_100),
        ("limits.head_s", 60),
        ("limits.idle_s", 600),
    ]);
    purchases(&world, tea);
    let before = resident_kib(&mut world);
    let from: Vec<String> = (2..12).map(|n| format!("127.0.1.{n}")).collect();
    let from: Vec<&str> = from.iter().map(String::as_str).collect();
    let siege = Siege::lay(&world, &from, 1_000, async |a| {
        let mut line = a.connect().await?;
        line.say(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n")
            .await?;
        line.answer().await?;
        line.closed().await;
        Ok(())
    });
    siege.until("all were served once", |t| t.answered(2) >= 10_000);
    let with = resident_kib(&mut world);
    purchases(&world, tea);
    let closed = siege.tally.closed();
    assert!(closed < 10, "{closed} did not hold on");
    let grown = (with - before) / 1024;
    crate::wait::say(&format!(
        "10,000 idle connections: {} MiB, {grown} MiB more than before",
        with / 1024
    ));
    assert!(grown < 300, "{grown} MiB more");
}

#[test]
fn buyers_are_served_while_hundreds_of_requests_lie_in_one_packet() {
    let (mut world, tea) = world(&[]);
    purchases(&world, tea);
    let before = resident_kib(&mut world);
    let many = "GET /api/v1/goods HTTP/1.1\r\nhost: t\r\n\r\n".repeat(500);
    let siege = Siege::lay(&world, &["127.0.0.2", "127.0.0.3"], 10, move |a| {
        let many = many.clone();
        async move {
            let mut line = a.connect().await?;
            // Nothing is read until no more can be sent.
            let pushed = async {
                for _ in 0..100 {
                    line.say(many.as_bytes()).await?;
                }
                Ok::<_, std::io::Error>(())
            };
            let _ = tokio::time::timeout(Duration::from_secs(2), pushed).await;
            for _ in 0..500 {
                line.answer().await?;
            }
            Ok(())
        }
    });
    siege.until("some are answered", |t| t.answered(2) > 100);
    let before_count = siege.tally.answered(2);
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.answered(2) > before_count);
    let grown = resident_kib(&mut world).saturating_sub(before) / 1024;
    assert!(grown < 64, "{grown} MiB more");
}

#[test]
fn buyers_are_served_while_work_is_asked_for_and_nobody_waits_for_it() {
    let (mut world, tea) = world(&[("limits.max_running_per_ip", 8)]);
    purchases(&world, tea);
    let before = resident_kib(&mut world);
    let body = json!({ "code": "no-such-code" }).to_string();
    let request = format!(
        "POST /api/v1/token HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let siege = Siege::lay(&world, &["127.0.0.2", "127.0.0.3"], 40, move |a| {
        let request = request.clone();
        async move {
            for _ in 0..20 {
                a.connect().await?.say(request.as_bytes()).await?;
            }
            a.ask(&request).await.map(drop)
        }
    });
    siege.until("more at once is refused", |t| t.limited() > 20);
    let refused = siege.tally.limited();
    purchases(&world, tea);
    siege.until("it went on meanwhile", |t| t.limited() > refused);
    let grown = resident_kib(&mut world).saturating_sub(before) / 1024;
    assert!(grown < 64, "{grown} MiB more");
}
