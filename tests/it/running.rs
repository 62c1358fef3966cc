//! The process: its commands, its signals, its socket, its manners on the wire.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::http::{Client, Place};
use crate::people::{Merchant, login};
use crate::program::{Program, run, run_with_input};
use crate::world::World;

#[test]
fn sigterm_ends_it_with_0_in_time_and_finishes_what_is_in_flight() {
    // More than 200 ms of load can sell.
    const STOCK: u64 = 1_000_000;
    let mut world = World::start();
    let tea = world.merchant().sells("茶", 100, STOCK);
    let buyers: Vec<_> = (0..8).map(|_| world.buyer()).collect();
    let server = world.server();
    let pid = server.pid();
    let placed: usize = thread::scope(|scope| {
        let order = |buyer: &crate::people::Buyer| {
            let mut client = buyer.connection();
            let mut placed = 0;
            while let Ok(reply) = buyer.order_on(&mut client, tea) {
                assert_eq!(reply.status, 201, "{}", reply.text());
                placed += 1;
            }
            placed
        };
        let loads: Vec<_> = buyers
            .iter()
            .map(|buyer| scope.spawn(move || order(buyer)))
            .collect();
        thread::sleep(Duration::from_millis(200));
        crate::program::send_signal(pid, "TERM");
        loads.into_iter().map(|load| load.join().unwrap()).sum()
    });
    let status = world.server().end_within(Duration::from_secs(12));
    assert_eq!(status.code(), Some(0));
    world.forget_server();
    world.serve();
    assert_eq!(world.merchant().orders().len(), placed);
    assert_eq!(world.merchant().stock(tea), STOCK - placed as u64);
}

#[test]
fn sigint_ends_it_with_0() {
    let mut world = World::start();
    let status = world.server().stop("INT");
    assert_eq!(status.code(), Some(0));
    world.forget_server();
}

#[test]
fn a_key_works_whether_the_server_ran_or_not_when_it_was_made() {
    let mut world = World::start();
    let running = world.command(&["key", "create", "backend"]);
    assert_eq!(running.code, Some(0), "{running:?}");
    world.stop();
    let stopped = world.command(&["key", "create", "evening"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    world.serve();
    for said in [&running, &stopped] {
        let key = said.out.strip_suffix('\n').unwrap();
        assert!(
            key.starts_with("zk_") && !key.contains(char::is_whitespace),
            "{said:?}"
        );
        Merchant::new(&world.place, key)
            .caller
            .get("/admin/v1/orders")
            .expect(200);
    }
    assert_ne!(running.out, stopped.out);
    let wrong = Merchant::new(&world.place, "zk_wrong");
    wrong
        .caller
        .get("/admin/v1/orders")
        .refuses(401, "UNAUTHENTICATED");
}

#[test]
fn an_admin_is_created_running_or_stopped_and_a_weak_password_is_refused() {
    let mut world = World::start();
    let create = |world: &World, name: &str, password: &str| {
        let args = [
            "admin",
            "create",
            name,
            "--password-stdin",
            "--config",
            "config.toml",
        ];
        run_with_input(world.dir.path(), &args, password)
    };
    let password = "correct horse battery";
    assert_eq!(create(&world, "wang", password).code, Some(0));
    let twice = create(&world, "wang", password);
    assert_eq!(twice.code, Some(1), "{twice:?}");
    assert_ne!(create(&world, "li", "short").code, Some(0));
    world.stop();
    let stopped = create(&world, "zhao", password);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert_eq!(create(&world, "wang", password).code, Some(1));
    world.serve();
    assert!(!world.log().contains(password));
}

#[test]
fn the_merchants_own_listener_takes_the_merchants_routes_away_from_the_public_one() {
    let mut world = World::with(|setup| {
        setup.more.push(("admin.listen", "127.0.0.1:0".into()));
    });
    let public = world
        .anyone()
        .send("GET", "/admin/v1/orders", &[], b"")
        .unwrap();
    public.refuses(404, "NOT_FOUND");
    let private = Place::default();
    private.set(world.server().address("admin on"));
    let bearer = world.merchant().caller.bearer;
    let headers = [("authorization", bearer.as_str())];
    let mut client = Client::new(&private);
    client
        .send("GET", "/admin/v1/orders", &headers, b"")
        .unwrap()
        .expect(200);
    client
        .send("GET", "/api/v1/goods", &[], b"")
        .unwrap()
        .refuses(404, "NOT_FOUND");
}

#[test]
fn a_second_server_on_the_same_data_refuses_to_start() {
    let world = World::start();
    let second = world.command(&["serve"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(!second.err.is_empty());
    world.merchant().orders();
}

#[test]
fn every_fault_of_the_config_is_told_at_once_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[server]\nlisten = \"nowhere\"\nlisten_on = 1\n[token]\nttl_s = 0\n";
    std::fs::write(dir.path().join("config.toml"), text).unwrap();
    let said = run(dir.path(), &["serve"], &[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    for part in ["listen_on", "ttl_s", "salt", "appid", "2", "3", "5"] {
        assert!(
            said.err.contains(part),
            "{part} is not named:\n{}",
            said.err
        );
    }
    let missing = run(dir.path(), &["serve", "--config", "none.toml"], &[]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
}

#[test]
fn another_field_key_is_a_wrong_config() {
    let mut world = World::start();
    world.stop();
    let other = [(
        "ZHANGGUI_STORE__FIELD_KEY",
        "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=",
    )];
    let said = run(
        world.dir.path(),
        &["serve", "--config", "config.toml"],
        &other,
    );
    assert_eq!(said.code, Some(2), "{said:?}");
}

#[test]
fn init_writes_a_config_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["init", "--help"], &[]);
    assert_eq!(help.code, Some(0), "{help:?}");
    std::fs::write(
        dir.path().join("secret"),
        "0123456789abcdef0123456789abcdef\n",
    )
    .unwrap();
    let args = [
        "init",
        "--appid",
        "wx0123456789abcdef",
        "--secret-file",
        "secret",
    ];
    let said = run(dir.path(), &args, &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let text = std::fs::read_to_string(dir.path().join("config.toml")).unwrap();
    assert!(
        text.contains("wx0123456789abcdef") && text.contains("salt = \""),
        "{text}"
    );
    let again = run(dir.path(), &args, &[]);
    assert_eq!(again.code, Some(1), "an existing config is kept: {again:?}");
    assert_eq!(
        std::fs::read_to_string(dir.path().join("config.toml")).unwrap(),
        text
    );
    let mut server = Program::start(dir.path(), "server", &["serve"]);
    server.address("listening on");
    assert_eq!(server.stop("TERM").code(), Some(0), "{}", server.log());
}

#[test]
fn health_is_told_without_a_token_and_every_answer_has_an_id() {
    let world = World::start();
    let mut client = world.anyone();
    let health = client.send("GET", "/healthz", &[], b"").unwrap();
    assert_eq!(health.expect(200)["status"], "ok");
    assert_eq!(health.json()["version"], env!("CARGO_PKG_VERSION"));
    client.send("GET", "/readyz", &[], b"").unwrap().expect(200);
    let strange = client.send("GET", "/no/such/place", &[], b"").unwrap();
    strange.refuses(404, "NOT_FOUND");
    for reply in [&health, &strange] {
        assert!(
            reply
                .message
                .header("x-request-id")
                .is_some_and(|id| !id.is_empty())
        );
        assert_eq!(
            reply.message.header("x-content-type-options"),
            Some("nosniff")
        );
    }
    let buyer = world.buyer();
    let user = buyer.caller.get("/api/v1/user");
    assert_eq!(user.message.header("cache-control"), Some("no-store"));
}

#[test]
fn a_connection_carries_many_requests_and_nonsense_is_no_request() {
    let world = World::start();
    let mut stream = TcpStream::connect(world.place.get().unwrap()).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(request).unwrap();
        let mut answer = [0; 512];
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    }
    let mut strange = TcpStream::connect(world.place.get().unwrap()).unwrap();
    strange.write_all(b"\x16\x03\x01 nonsense\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = strange.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    world.buyer();
}

#[test]
fn requests_with_one_token_are_limited() {
    let world = World::with(|setup| {
        setup
            .more
            .push(("limits.requests_per_minute_per_token", 5.into()));
    });
    let buyer = world.buyer();
    let replies: Vec<_> = (0..12).map(|_| buyer.caller.get("/api/v1/token")).collect();
    assert_eq!(replies[0].status, 200);
    replies[11].refuses(429, "RATE_LIMITED");
    world.buyer().caller.get("/api/v1/token").expect(200);
}

#[test]
fn the_demo_buys_and_pays_twice_in_an_empty_directory() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let said = run(dir.path(), &["demo", "--once"], &[]);
        assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    }
}

#[test]
fn the_demo_keeps_serving_and_prints_where() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Program::start(dir.path(), "demo", &["demo"]);
    let place = Place::default();
    place.set(demo.address("\nshop "));
    // It buys first; whoever logged in meanwhile would be in its way.
    crate::wait::until("the curl lines are printed", || {
        demo.log().contains("curl ")
    });
    let shown = Client::new(&place)
        .send("GET", "/api/v1/goods", &[], b"")
        .unwrap();
    assert!(!shown.expect(200)["goods"].as_array().unwrap().is_empty());
    let simulator = Place::default();
    simulator.set(demo.address("\nsimulator "));
    let made = Client::new(&simulator).send("POST", "/sandbox/login-codes", &[], b"{}");
    let code = made.unwrap().expect(200)["code"]
        .as_str()
        .unwrap()
        .to_owned();
    login(&place, &code).expect(200);
    assert_eq!(demo.stop("TERM").code(), Some(0), "{}", demo.log());
}
