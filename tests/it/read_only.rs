//! `serve --read-only`: a copy is looked at by the real binary, and left as it was.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use zhanggui::routes;
use zhanggui::web::Router;

use crate::fulfil::pay;
use crate::people::Buyer;
use crate::snapshot::snapshot;
use crate::wait::until;
use crate::world::World;

/// A shop with a paid and an unpaid order, and a copy of its data taken while it runs. The world
/// then looks at the copy.
fn looking_at_a_copy() -> (World, Buyer, String) {
    let mut world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let paid = pay(&world, &buyer, tea);
    buyer.order(tea, 2);
    let copied = Command::new("cp")
        .args(["-r", "data", "copy"])
        .current_dir(world.dir.path())
        .status();
    assert!(copied.unwrap().success());
    world.stop();
    let data_dir = ("ZHANGGUI_STORE__DATA_DIR".to_owned(), "copy".to_owned());
    world.setup.env = vec![data_dir];
    world.setup.args = vec!["--read-only".to_owned()];
    (world, buyer, paid)
}

#[test]
fn a_copy_shows_everything_and_is_left_as_it_was() {
    let (mut world, _, paid) = looking_at_a_copy();
    let copy = world.dir.path().join("copy");
    let before = snapshot(&copy);
    world.serve();
    assert_eq!(world.merchant().order(&paid)["status"], "paid");
    assert_eq!(world.merchant().orders().len(), 2);
    let mut client = world.anyone();
    client
        .send("GET", "/healthz", &[], b"")
        .unwrap()
        .expect(200);
    let ready = client.send("GET", "/readyz", &[], b"").unwrap();
    ready.refuses(503, "READ_ONLY");
    let writer = world.command(&["key", "create", "one"]);
    assert_eq!(writer.code, Some(1), "{writer:?}");
    assert!(writer.err.contains("read-only"), "{writer:?}");
    world.stop();
    assert_eq!(snapshot(&copy), before);
}

#[test]
fn every_route_that_writes_or_asks_wechat_is_refused_whoever_calls() {
    let (mut world, buyer, _) = looking_at_a_copy();
    world.serve();
    let asked = world.upstream.passed("/").len();
    let before = world.merchant().orders();
    let merchant = world.merchant().caller.bearer;
    let router = Router::new(routes::table());
    let mut reads = 0;
    for (method, pattern) in router.rows() {
        let target = pattern.replace(['{', '}'], "");
        let bearer = if pattern.starts_with("/admin/") {
            &merchant
        } else {
            &buyer.caller.bearer
        };
        let headers = [("authorization", bearer.as_str())];
        let reply = world
            .anyone()
            .send(method.as_str(), &target, &headers, b"{}")
            .unwrap();
        let asks = pattern.ends_with("/wxacode") || pattern.ends_with("/express-companies");
        if method.as_str() == "GET" && !asks {
            let read_only = reply.status == 503 && reply.code() == "READ_ONLY";
            assert!(
                !read_only || pattern == "/readyz",
                "GET {pattern}: {}",
                reply.text()
            );
            reads += 1;
        } else {
            reply.refuses(503, "READ_ONLY");
        }
    }
    assert!(reads > 10, "only {reads} routes read");
    assert_eq!(world.merchant().orders(), before);
    assert_eq!(world.upstream.passed("/").len(), asked, "WeChat was called");
}

#[test]
fn what_is_due_is_left_alone() {
    let mut world = World::with(|setup| setup.pay_within_s = 3);
    let tea = world.merchant().sells("茶", 100, 10);
    let order_no = world.buyer().order(tea, 1);
    world.kill();
    world.setup.args = vec!["--read-only".to_owned()];
    world.serve();
    // Where due work is done, it is looked for every half second.
    let from = Instant::now();
    until("the order is long due", || {
        from.elapsed() > Duration::from_secs(5)
    });
    assert_eq!(world.merchant().order(&order_no)["status"], "pending");
    world.stop();
    world.setup.args.clear();
    world.serve();
    until("a server closes it", || {
        world.merchant().order(&order_no)["status"] == "closed"
    });
}

#[test]
fn a_directory_without_a_store_is_not_made_one() {
    let mut world = World::start();
    world.stop();
    fs::create_dir(world.dir.path().join("empty")).unwrap();
    let env = ("ZHANGGUI_STORE__DATA_DIR".to_owned(), "empty".to_owned());
    world.setup.env = vec![env];
    let said = world.command(&["serve", "--read-only"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("FORMAT"), "{said:?}");
    assert!(snapshot(&world.dir.path().join("empty")).is_empty());
}

#[test]
fn what_a_server_holds_is_not_looked_at() {
    let mut world = World::start();
    let said = world.command(&["serve", "--read-only"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let pid = world.server().pid().to_string();
    assert!(said.err.contains(&pid), "{said:?}");
}
