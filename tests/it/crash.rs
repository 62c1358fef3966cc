//! SIGKILL at random and at chosen moments under load: nothing acknowledged is missing, stock is
//! conserved, an order is paid once, and what was unknown can be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zhanggui::base::secret::random_u64;
use zhanggui::store::{Beside, Phase};

use crate::crash_aim::{Aim, Fell, aim, name, place};
use crate::http::Client;
use crate::notify::{self, Notify, acknowledges};
use crate::people::{Buyer, login_on};
use crate::wait::say;
use crate::world::World;
use zhanggui::base::xml::Fields;

/// Clients that write at once.
const CLIENTS: usize = 48;
/// Of those, so many must have a request on its way when the kill falls.
const IN_FLIGHT: usize = 32;
/// Kills in each of the worlds: the rebuild after a kill grows with what is kept.
const KILLS: usize = 13;
const WORLDS: usize = 3;
const STOCK: u64 = 1_000_000;

/// What one client knows at the end of a round, by idempotency key.
#[derive(Default)]
struct Known {
    placed: BTreeMap<String, String>,
    paid: BTreeMap<String, Notify>,
    cancelled: BTreeSet<String>,
    /// Asked, but the answer never came.
    unknown_orders: Vec<String>,
    unknown_notifies: Vec<Notify>,
}

/// A killed round: where the kill fell, and what was known then.
struct Round {
    phase: char,
    in_flight: usize,
    known: Vec<(Buyer, Known)>,
}

/// How many kills, in worlds of [`KILLS`]: `CRASH_KILLS` asks for more.
fn worlds() -> usize {
    let asked = std::env::var("CRASH_KILLS").ok();
    let asked = asked.map(|kills| kills.parse::<usize>().expect("CRASH_KILLS is a number"));
    asked.map_or(WORLDS, |kills| kills.div_ceil(KILLS))
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let (mut fell, worlds) = (Fell::default(), worlds());
    for number in 0..worlds {
        fell.add(&kills_of_one_world(number * KILLS));
    }
    say(&format!("kills by phase: {}", fell.told()));
    // The starts are killed without any load, so they do not count.
    let loaded = fell.loaded();
    assert!(
        loaded >= 9 * worlds,
        "only {loaded} kills under load: {}",
        fell.told()
    );
    fell.hit_each(if worlds > 5 { 3 } else { 1 });
}

fn kills_of_one_world(before: usize) -> Fell {
    let place = tempfile::tempdir().unwrap();
    let phase_file = place.path().join("phase");
    let mut world = World::with(|setup| {
        setup.version = "v2";
        setup.more.push(("store.segment_mb", 1.into()));
        setup.more.push(("store.base_mb", 1.into()));
        setup.more.push(("store.base_keep_s", 2.into()));
        setup.more.push(("log.level", "warn".into()));
        let path = phase_file.to_str().unwrap().to_owned();
        setup.args = vec!["--phase-file".to_owned(), path];
    });
    let mut fell = Fell::default();
    for kill in 0..KILLS {
        let aim = aim(kill);
        let goods = world.merchant().sells(&format!("round {kill}"), 100, STOCK);
        let round = killed(&mut world, aim, goods, &phase_file);
        let acknowledged: usize = round.known.iter().map(|(_, known)| known.count()).sum();
        say(&format!(
            "kill {:2} {aim:?}: fell in {}, {} in flight, {acknowledged} acknowledged",
            before + kill + 1,
            name(round.phase),
            round.in_flight,
        ));
        world.serve();
        repeat_the_unknown(&world, &round, goods);
        check(&world, &round, goods);
        fell.count(round.phase);
    }
    fell
}

impl Known {
    fn count(&self) -> usize {
        self.placed.len() + self.paid.len() + self.cancelled.len()
    }
}

/// Loads the server, kills it as aimed, and says where that was.
fn killed(world: &mut World, aim: Aim, goods: u64, phase_file: &Path) -> Round {
    if matches!(aim, Aim::Starting | Aim::Rebuilding) {
        return killed_while_opening(world, aim, phase_file);
    }
    let in_flight = AtomicUsize::new(0);
    let buyers: Vec<Buyer> = (0..CLIENTS).map(|_| world.buyer()).collect();
    let account = Account::of(world);
    let (seen, known) = thread::scope(|scope| {
        let (in_flight, account) = (&in_flight, &account);
        let clients: Vec<_> = buyers
            .iter()
            .map(|buyer| scope.spawn(move || work(buyer, goods, account, in_flight)))
            .collect();
        let seen = wait_for(aim, in_flight, phase_file);
        world.kill();
        let known: Vec<Known> = clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect();
        (seen, known)
    });
    assert!(seen >= IN_FLIGHT, "only {seen} requests were in flight");
    let known = buyers.into_iter().zip(known).collect();
    Round {
        phase: place(phase_file),
        in_flight: seen,
        known,
    }
}

/// Kills a start: one after a clean stop, or one that builds the working set anew.
fn killed_while_opening(world: &mut World, aim: Aim, phase_file: &Path) -> Round {
    let rebuild = char::from(Phase::Rebuild.byte());
    match aim {
        Aim::Rebuilding => world.kill(),
        _ => world.stop(),
    }
    fs::write(phase_file, "?").unwrap();
    world.spawn_server();
    let opening = Instant::now();
    let reached = || match aim {
        Aim::Rebuilding => place(phase_file) == rebuild,
        _ => place(phase_file) != '?',
    };
    while !reached() && opening.elapsed() < Duration::from_secs(10) {}
    let later = if matches!(aim, Aim::Rebuilding) {
        300
    } else {
        3000
    };
    thread::sleep(Duration::from_micros(random_u64() % later));
    world.kill();
    Round {
        phase: place(phase_file),
        in_flight: 0,
        known: vec![],
    }
}

/// Waits until the kill is due; gives the number of requests in flight then.
fn wait_for(aim: Aim, in_flight: &AtomicUsize, phase_file: &Path) -> usize {
    let from = Instant::now();
    let (least, wanted) = match aim {
        Aim::After(ms) => (Duration::from_millis(ms), None),
        Aim::In(phase) => (Duration::from_millis(50), Some(char::from(phase.byte()))),
        Aim::Base => (Duration::ZERO, Some(char::from(Beside::Base.byte()))),
        Aim::Starting | Aim::Rebuilding => (Duration::ZERO, None),
    };
    loop {
        let flying = in_flight.load(Ordering::SeqCst);
        let there = wanted.is_none_or(|wanted| place(phase_file) == wanted);
        let late = from.elapsed() > Duration::from_secs(15);
        if flying >= IN_FLIGHT && from.elapsed() >= least && (there || late) {
            return flying;
        }
        assert!(
            from.elapsed() < Duration::from_secs(30),
            "the load does not come up"
        );
    }
}

/// What a client needs to play WeChat's notify.
struct Account {
    appid: String,
    mchid: String,
    key: String,
}

impl Account {
    fn of(world: &World) -> Self {
        Self {
            appid: world.setting("wechat", "appid").unwrap(),
            mchid: world.setting("wechat.pay", "mchid").unwrap(),
            key: world.setting("wechat.pay", "v2_key").unwrap(),
        }
    }

    fn notify(&self, buyer: &Buyer, order_no: &str) -> Notify {
        let fields = Fields::new()
            .with("appid", self.appid.as_str())
            .with("bank_type", "OTHERS")
            .with("cash_fee", "100")
            .with("fee_type", "CNY")
            .with("is_subscribe", "N")
            .with("mch_id", self.mchid.as_str())
            .with("nonce_str", "5d2b6c2a8db53831f7eda20af46e531c")
            .with("openid", buyer.openid.as_str())
            .with("out_trade_no", order_no)
            .with("result_code", "SUCCESS")
            .with("return_code", "SUCCESS")
            .with("time_end", "20260101120000")
            .with("total_fee", "100")
            .with("trade_type", "JSAPI")
            .with("transaction_id", format!("42{order_no}"));
        notify::v2(&fields, &self.key, "HMAC-SHA256")
    }
}

fn order(goods: u64, key: &str) -> Value {
    let long = "长".repeat(100);
    json!({
        "lines": [{ "goods_id": goods, "count": 1 }],
        "remark": key,
        "address": {
            "name": long, "phone": "13800138000", "province": long, "city": long,
            "district": long, "detail": long,
        },
    })
}

/// Orders, pays, cancels until the server is gone.
fn work(buyer: &Buyer, goods: u64, account: &Account, in_flight: &AtomicUsize) -> Known {
    let mut known = Known::default();
    let mut client = buyer.connection();
    let bearer = buyer.caller.bearer.clone();
    let mut send = |target: &str, headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        in_flight.fetch_add(1, Ordering::SeqCst);
        let reply = client.send("POST", target, &headers, body).ok();
        in_flight.fetch_sub(1, Ordering::SeqCst);
        // The store's "it may have happened" is as good as no answer.
        reply.filter(|reply| reply.status != 503)
    };
    for turn in 0.. {
        let key = format!("{goods}-{:016x}", random_u64());
        let body = order(goods, &key).to_string();
        let headers = [("idempotency-key", key.as_str())];
        let Some(reply) = send("/api/v1/orders", &headers, body.as_bytes()) else {
            known.unknown_orders.push(key);
            break;
        };
        let placed = reply.expect(201)["order_no"].as_str().unwrap().to_owned();
        known.placed.insert(key, placed.clone());
        if turn % 3 == 1 {
            let Some(reply) = send(&format!("/api/v1/orders/{placed}/pay"), &[], b"{}") else {
                break;
            };
            reply.expect(200);
            let notify = account.notify(buyer, &placed);
            let Some(reply) = send("/wx/pay/notify", &[], &notify.body) else {
                known.unknown_notifies.push(notify);
                break;
            };
            assert!(acknowledges(&reply), "{}", reply.text());
            known.paid.insert(placed, notify);
        } else if turn % 3 == 2 {
            let Some(reply) = send(&format!("/api/v1/orders/{placed}/cancel"), &[], b"{}") else {
                break;
            };
            assert_eq!(reply.expect(200)["status"], "closed");
            known.cancelled.insert(placed);
        }
    }
    known
}

/// An order or a notify whose answer never came is sent again, as a client and WeChat would.
fn repeat_the_unknown(world: &World, round: &Round, goods: u64) {
    for (buyer, known) in &round.known {
        if known.unknown_orders.is_empty() && known.unknown_notifies.is_empty() {
            continue;
        }
        let (code, _) = world.wechat.login_code(Some(&buyer.openid));
        let mut client = Client::new(&world.place);
        let token = login_on(&mut client, &code);
        let again = Buyer::with_token(&world.place, &token, &buyer.openid);
        for key in &known.unknown_orders {
            again.order_with_key(key, &order(goods, key)).expect(201);
        }
        for notify in known
            .unknown_notifies
            .iter()
            .chain(known.paid.values().take(1))
        {
            let reply = world.deliver(notify);
            assert!(acknowledges(&reply), "{}", reply.text());
        }
    }
}

/// Everything of this round against what the clients know of it.
fn check(world: &World, round: &Round, goods: u64) {
    let merchant = world.merchant();
    let orders = merchant.orders_with(goods);
    let text = |order: &Value, name: &str| order[name].as_str().unwrap_or("").to_owned();
    let by_no: BTreeMap<String, &Value> = orders
        .iter()
        .map(|order| (text(order, "order_no"), order))
        .collect();
    let keys: BTreeSet<String> = orders.iter().map(|order| text(order, "remark")).collect();
    assert_eq!(keys.len(), orders.len(), "one key placed two orders");
    for (_, known) in &round.known {
        for (key, order_no) in &known.placed {
            let order = by_no.get(order_no).expect("an acknowledged order is there");
            assert_eq!(&text(order, "remark"), key);
        }
        for order_no in known.paid.keys() {
            assert_eq!(
                by_no[order_no]["status"], "paid",
                "{order_no} was acknowledged"
            );
        }
        for order_no in &known.cancelled {
            assert_eq!(
                by_no[order_no]["status"], "closed",
                "{order_no} was acknowledged"
            );
        }
        let unknown = known.unknown_orders.iter();
        assert!(
            unknown.into_iter().all(|key| keys.contains(key)),
            "a repeat was lost"
        );
    }
    let mut reserved = 0;
    for order in &orders {
        let events = order["events"].as_array().unwrap();
        let paid = events
            .iter()
            .filter(|event| event["kind"] == "order.paid")
            .count();
        assert_eq!(paid, usize::from(order["status"] == "paid"), "{order}");
        reserved += u64::from(order["status"] != "closed");
    }
    assert_eq!(
        merchant.stock(goods) + reserved,
        STOCK,
        "stock is not conserved"
    );
}
