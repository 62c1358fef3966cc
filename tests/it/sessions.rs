//! The console's sessions over HTTP: cookies, CSRF tokens, commands, restarts.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::program::{Said, run_with_input};
use crate::world::{Setup, World};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A browser that is logged in to the console.
pub(crate) struct Browser {
    /// `name=value`
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

/// Runs a command that reads a password.
fn with_password(world: &World, args: &[&str], password: &str) -> Said {
    let args = [args, &["--password-stdin", "--config", "config.toml"]].concat();
    run_with_input(world.dir.path(), &args, &format!("{password}\n"))
}

pub(crate) fn admin(world: &World, name: &str) {
    let said = with_password(world, &["admin", "create", name], PASSWORD);
    assert_eq!(said.code, Some(0), "{said:?}");
}

pub(crate) fn try_login(world: &World, headers: &[(&str, &str)], body: &Value) -> Reply {
    let body = body.to_string();
    let mut client = world.anyone();
    client
        .send("POST", "/admin/v1/session", headers, body.as_bytes())
        .unwrap()
}

pub(crate) fn right(name: &str) -> Value {
    json!({ "username": name, "password": PASSWORD })
}

impl Browser {
    pub(crate) fn login(world: &World, name: &str) -> Self {
        Self::from(&try_login(world, &[], &right(name)))
    }

    pub(crate) fn from(reply: &Reply) -> Self {
        let session = reply.expect(200);
        let line = reply.message.header("set-cookie").unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        let csrf = session["csrf_token"].as_str().unwrap().to_owned();
        Self { cookie, csrf }
    }

    /// A request as a page of the console makes it.
    pub(crate) fn call(&self, world: &World, method: &str, target: &str, body: &Value) -> Reply {
        let csrf = [("x-csrf-token", self.csrf.as_str())];
        self.send(world, (method, target), &csrf, body)
    }

    /// A request with the cookie and these headers only.
    pub(crate) fn send(
        &self,
        world: &World,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let headers = [&[("cookie", self.cookie.as_str())], headers].concat();
        let body = match body {
            Value::Null => vec![],
            body => body.to_string().into_bytes(),
        };
        let mut client = world.anyone();
        client.send(method, target, &headers, &body).unwrap()
    }

    pub(crate) fn is_logged_in(&self, world: &World) -> bool {
        let reply = self.call(world, "GET", "/admin/v1/session", &Value::Null);
        assert!([200, 401].contains(&reply.status), "{}", reply.text());
        reply.status == 200
    }
}

fn plain(setup: &mut Setup) {
    setup.may_be_refused = true;
}

#[test]
fn an_admin_logs_in_works_and_logs_out() {
    let mut world = World::with(plain);
    admin(&world, "掌柜");
    let reply = try_login(
        &world,
        &[("content-type", "application/json")],
        &right("掌柜"),
    );
    let browser = Browser::from(&reply);
    let line = reply.message.header("set-cookie").unwrap();
    let attributes: Vec<&str> = line.split("; ").skip(1).collect();
    assert_eq!(
        attributes,
        ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    );
    assert_eq!(reply.message.header("cache-control"), Some("no-store"));
    let seen = browser
        .call(&world, "GET", "/admin/v1/session", &Value::Null)
        .expect(200);
    assert_eq!(seen["username"], "掌柜");
    assert_eq!(seen["csrf_token"], browser.csrf);
    let tea = json!({ "title": "茶", "price_fen": 100, "stock": 5 });
    browser
        .call(&world, "POST", "/admin/v1/goods", &tea)
        .expect(201);
    // A restart logs nobody out; a logout outlives one.
    let other = Browser::login(&world, "掌柜");
    world.restart();
    assert!(browser.is_logged_in(&world));
    let gone = browser.call(&world, "DELETE", "/admin/v1/session", &Value::Null);
    assert_eq!(gone.status, 204);
    let line = gone.message.header("set-cookie").unwrap();
    assert!(
        line.starts_with("zhanggui_session=; ") && line.contains("Max-Age=0"),
        "{line}"
    );
    world.kill();
    world.serve();
    assert!(!browser.is_logged_in(&world));
    assert!(other.is_logged_in(&world));
    let secret = browser.cookie.split_once('=').unwrap().1;
    for told in [secret, &browser.csrf, PASSWORD] {
        assert!(!world.log().contains(told), "the log tells a secret");
    }
}

#[test]
fn a_new_password_ends_all_sessions_and_the_old_password() {
    let world = World::with(plain);
    admin(&world, "boss");
    admin(&world, "clerk");
    let (boss, clerk) = (
        Browser::login(&world, "boss"),
        Browser::login(&world, "clerk"),
    );
    let said = with_password(&world, &["admin", "password", "boss"], "another good one");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!boss.is_logged_in(&world));
    assert!(clerk.is_logged_in(&world));
    try_login(&world, &[], &right("boss")).refuses(401, "UNAUTHENTICATED");
    let fresh = json!({ "username": "boss", "password": "another good one" });
    try_login(&world, &[], &fresh).expect(200);
    for (args, password) in [
        (["admin", "password", "nobody"], "another good one"),
        (["admin", "password", "boss"], "short"),
    ] {
        let refused = with_password(&world, &args, password);
        assert_eq!(refused.code, Some(1), "{refused:?}");
    }
}

#[test]
fn a_second_factor_is_printed_once_and_asked_for_until_it_is_taken_away() {
    let world = World::with(plain);
    admin(&world, "boss");
    let said = world.command(&["admin", "totp", "boss"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.starts_with("otpauth://totp/zhanggui:boss?secret="),
        "{said:?}"
    );
    let wrong = json!({ "username": "boss", "password": "wrong password" });
    let reply = try_login(&world, &[], &wrong);
    reply.refuses(401, "UNAUTHENTICATED");
    assert_eq!(reply.json()["detail"], Value::Null);
    for (totp, hint) in [(Value::Null, "required"), (json!("000000x"), "wrong")] {
        let mut login = right("boss");
        login["totp"] = totp;
        let reply = try_login(&world, &[], &login);
        reply.refuses(401, "UNAUTHENTICATED");
        assert_eq!(reply.json()["detail"]["totp"], hint);
        assert!(reply.message.header("set-cookie").is_none());
    }
    let off = world.command(&["admin", "totp", "boss", "--off"]);
    assert_eq!(off.code, Some(0), "{off:?}");
    try_login(&world, &[], &right("boss")).expect(200);
    assert!(!world.log().contains("otpauth"), "the log tells the key");
}

#[test]
fn behind_tls_the_cookie_is_secure_and_only_the_hosts_own_name_is_read() {
    let world = World::with(|setup| {
        plain(setup);
        let proxies = toml::Value::Array(vec!["127.0.0.1".into()]);
        setup.more.push(("server.trusted_proxies", proxies));
    });
    admin(&world, "boss");
    let https = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    let reply = try_login(&world, &https, &right("boss"));
    let browser = Browser::from(&reply);
    let line = reply.message.header("set-cookie").unwrap();
    assert!(line.starts_with("__Host-zhanggui_session="), "{line}");
    assert!(
        line.ends_with("; Secure") && line.contains("Path=/;"),
        "{line}"
    );
    let get = ("GET", "/admin/v1/session");
    browser.send(&world, get, &https, &Value::Null).expect(200);
    let planted = browser.cookie.trim_start_matches("__Host-").to_owned();
    let planted = Browser {
        cookie: planted,
        csrf: browser.csrf.clone(),
    };
    let reply = planted.send(&world, get, &https, &Value::Null);
    reply.refuses(401, "UNAUTHENTICATED");
    let twice = format!("{}; {}x", browser.cookie, browser.cookie);
    let twice = Browser {
        cookie: twice,
        csrf: browser.csrf.clone(),
    };
    let reply = twice.send(&world, get, &https, &Value::Null);
    reply.refuses(401, "UNAUTHENTICATED");
}

#[test]
fn logins_of_buyers_and_merchants_share_one_rate() {
    let world = World::with(|setup| {
        setup.may_be_refused = true;
        setup
            .more
            .push(("limits.login_per_minute_per_ip", 3.into()));
    });
    let body = json!({ "code": "no-such-code" }).to_string();
    let mut client = world.anyone();
    for _ in 0..3 {
        let reply = client
            .send("POST", "/api/v1/token", &[], body.as_bytes())
            .unwrap();
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    let nobody = json!({ "username": "nobody", "password": "wrong password" });
    try_login(&world, &[], &nobody).refuses(429, "RATE_LIMITED");
}
