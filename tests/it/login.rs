//! Logging in, tokens, and what a user keeps with us.

use serde_json::{Value, json};

use crate::people::{Buyer, login};
use crate::tap::Fate;
use crate::world::World;

#[test]
fn a_login_gives_a_token_and_the_second_one_knows_the_user() {
    let world = World::start();
    let (code, openid) = world.wechat.login_code(None);
    let first = login(&world.place, &code).expect(200);
    let token = first["token"].as_str().unwrap();
    assert!(
        token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit()),
        "{token}"
    );
    assert_eq!(first["expires_in"], 7200);
    assert_eq!(first["new_user"], true);
    let (code, _) = world.wechat.login_code(Some(&openid));
    let second = login(&world.place, &code).expect(200);
    assert_eq!(second["new_user"], false);
    assert_eq!(second["uid"], first["uid"]);
    assert_ne!(second["token"], first["token"]);
}

#[test]
fn a_code_is_good_once_and_an_unknown_one_never() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let (code, _) = world.wechat.login_code(None);
    login(&world.place, &code).expect(200);
    login(&world.place, &code).refuses(400, "CODE_INVALID");
    login(&world.place, "no-such-code").refuses(400, "CODE_INVALID");
}

#[test]
fn each_errcode_of_code2session_is_told_as_the_contract_says() {
    let world = World::start();
    let table = [
        (
            r#"{"errcode":40029,"errmsg":"invalid code"}"#,
            400,
            "CODE_INVALID",
        ),
        (
            r#"{"errcode":40163,"errmsg":"code been used"}"#,
            400,
            "CODE_INVALID",
        ),
        (
            r#"{"errcode":40226,"errmsg":"code blocked"}"#,
            403,
            "USER_BLOCKED",
        ),
        (
            r#"{"errcode":45011,"errmsg":"api minute-quota"}"#,
            429,
            "RATE_LIMITED",
        ),
        (
            r#"{"errcode":-1,"errmsg":"system error"}"#,
            502,
            "WECHAT_UNAVAILABLE",
        ),
        (
            r#"{"errcode":40013,"errmsg":"invalid appid"}"#,
            502,
            "WECHAT_UNAVAILABLE",
        ),
        (
            r#"{"errcode":40125,"errmsg":"invalid secret"}"#,
            502,
            "WECHAT_UNAVAILABLE",
        ),
        (
            r#"{"errcode":99999,"errmsg":"of tomorrow"}"#,
            502,
            "WECHAT_UNAVAILABLE",
        ),
        (r#"{"openid":"o"}"#, 502, "WECHAT_UNAVAILABLE"),
        ("<html>", 502, "WECHAT_UNAVAILABLE"),
        ("", 502, "WECHAT_UNAVAILABLE"),
    ];
    for (answer, status, code) in table {
        world.upstream.next(Fate::Said(answer.to_owned()), 9);
        let reply = login(&world.place, "any-code");
        world.upstream.calm();
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{answer}"
        );
    }
    world.buyer();
}

#[test]
fn a_token_shows_its_rest_and_ends_when_it_is_deleted() {
    let world = World::start();
    let buyer = world.buyer();
    let again = world.wechat.login_code(Some(&buyer.openid));
    let other = Buyer::login(&world.place, &again.0, &again.1);
    let shown = buyer.caller.get("/api/v1/token").expect(200);
    assert_eq!(shown["scope"], "user");
    assert!(
        shown["expires_in"]
            .as_u64()
            .is_some_and(|rest| (7000..=7200).contains(&rest))
    );
    let deleted = buyer.caller.call("DELETE", "/api/v1/token", &Value::Null);
    assert_eq!((deleted.status, deleted.message.body.len()), (204, 0));
    buyer
        .caller
        .get("/api/v1/token")
        .refuses(401, "TOKEN_INVALID");
    other.caller.get("/api/v1/token").expect(200);
}

#[test]
fn a_deleted_token_stays_dead_after_a_restart() {
    let mut world = World::start();
    let (gone, kept) = (world.buyer(), world.buyer());
    gone.caller.call("DELETE", "/api/v1/token", &Value::Null);
    world.restart();
    gone.caller
        .get("/api/v1/token")
        .refuses(401, "TOKEN_INVALID");
    kept.caller.get("/api/v1/token").expect(200);
}

#[test]
fn a_token_expires_by_its_time() {
    let world = World::with(|setup| setup.more.push(("token.ttl_s", 2.into())));
    let buyer = world.buyer();
    buyer.caller.get("/api/v1/token").expect(200);
    crate::wait::until("the token expires", || {
        buyer.caller.get("/api/v1/user").status == 401
    });
    buyer
        .caller
        .get("/api/v1/token")
        .refuses(401, "TOKEN_INVALID");
}

#[test]
fn the_twenty_first_login_ends_the_oldest_token() {
    let world = World::start();
    let first = world.buyer();
    let more: Vec<Buyer> = (0..20)
        .map(|_| {
            let again = world.wechat.login_code(Some(&first.openid));
            Buyer::login(&world.place, &again.0, &again.1)
        })
        .collect();
    first
        .caller
        .get("/api/v1/token")
        .refuses(401, "TOKEN_INVALID");
    for buyer in &more {
        buyer.caller.get("/api/v1/token").expect(200);
    }
}

#[test]
fn logins_from_one_address_are_limited() {
    let world = World::with(|setup| {
        setup
            .more
            .push(("limits.login_per_minute_per_ip", 3.into()));
        setup.may_be_refused = true;
    });
    let replies: Vec<_> = (0..8)
        .map(|_| login(&world.place, "no-such-code"))
        .collect();
    let last = replies.last().unwrap();
    last.refuses(429, "RATE_LIMITED");
    assert!(last.message.header("retry-after").is_some(), "{last:?}");
    assert_eq!(replies[0].status, 400);
}

#[test]
fn a_user_keeps_a_name_and_an_address() {
    let mut world = World::start();
    let buyer = world.buyer();
    let user = buyer.caller.get("/api/v1/user").expect(200);
    assert_eq!(user["scope"], "user");
    assert!(
        user["created_at"]
            .as_str()
            .is_some_and(|at| at.ends_with("+08:00")),
        "{user}"
    );
    let change = json!({ "nickname": "小王 🍵", "avatar_url": "https://example.com/a.png" });
    let changed = buyer
        .caller
        .call("PATCH", "/api/v1/user", &change)
        .expect(200);
    assert_eq!(changed["nickname"], "小王 🍵");
    let address = json!({
        "name": "王小明", "phone": "13800138000", "province": "浙江省",
        "city": "杭州市", "district": "西湖区", "detail": "龙井路 1 号",
    });
    buyer
        .caller
        .call("PUT", "/api/v1/user/address", &address)
        .expect(200);
    world.restart();
    assert_eq!(
        buyer.caller.get("/api/v1/user/address").expect(200),
        address
    );
    assert_eq!(
        buyer.caller.get("/api/v1/user").expect(200)["nickname"],
        "小王 🍵"
    );
    for secret in ["13800138000", "龙井路"] {
        assert!(!world.log().contains(secret), "the log tells an address");
    }
}

#[test]
fn what_cannot_be_decrypted_is_refused_by_name() {
    let world = World::start();
    let buyer = world.buyer();
    let iv = "AAAAAAAAAAAAAAAAAAAAAA==";
    for encrypted in [
        "",
        "AAAA",
        "no base64!",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ] {
        let body = json!({ "encrypted_data": encrypted, "iv": iv });
        let reply = buyer.caller.call("POST", "/api/v1/user/decrypt", &body);
        reply.refuses(400, "DECRYPT_FAILED");
    }
}
