//! The login's verdicts as a table: each field missing, wrong, over-long; codes spent and stale.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::fixtures::{OPENID, credentials, now};
use super::login::{LoginQuery, Logins, planned};
use crate::base::{OpenId, Timestamp};

fn good(code: &str) -> LoginQuery {
    LoginQuery {
        appid: Some(credentials().appid.to_string()),
        secret: Some(credentials().secret.reveal().clone()),
        js_code: Some(code.to_owned()),
        grant_type: Some("authorization_code".to_owned()),
    }
}

/// 0 when the login succeeds, else its errcode.
fn verdict(logins: &mut Logins, query: &LoginQuery, at: Timestamp) -> i64 {
    let session = query
        .check(credentials())
        .and_then(|code| logins.redeem(code, at));
    session.map_or_else(|refused| refused.errcode, |_| 0)
}

fn openid() -> OpenId {
    OPENID.parse().unwrap()
}

#[test]
fn each_field_of_a_login_has_its_errcode_when_missing_wrong_or_over_long() {
    let text = |value: &str| Some(value.to_owned());
    let long = || Some("x".repeat(600));
    let mut logins = Logins::new(&credentials().appid);
    let code = logins.new_code(openid(), None, now());
    let right = good(&code);
    let appid = |appid| LoginQuery {
        appid,
        ..right.clone()
    };
    let secret = |secret| LoginQuery {
        secret,
        ..right.clone()
    };
    let js_code = |js_code| LoginQuery {
        js_code,
        ..right.clone()
    };
    let grant = |grant_type| LoginQuery {
        grant_type,
        ..right.clone()
    };
    let table = [
        ("appid missing", appid(None), 41002),
        ("appid empty", appid(text("")), 41002),
        ("appid wrong", appid(text("wx8888888888888888")), 40013),
        ("appid over-long", appid(long()), 40013),
        ("secret missing", secret(None), 41004),
        ("secret empty", secret(text("")), 41004),
        (
            "secret wrong",
            secret(text("00000000000000000000000000000000")),
            40125,
        ),
        ("secret over-long", secret(long()), 40125),
        ("js_code missing", js_code(None), 41008),
        ("js_code empty", js_code(text("")), 41008),
        ("js_code wrong", js_code(text("0a3xyz")), 40029),
        ("js_code over-long", js_code(long()), 40029),
        (
            "js_code longer by one",
            js_code(Some(format!("{code}0"))),
            40029,
        ),
        ("grant_type missing", grant(None), 40002),
        ("grant_type wrong", grant(text("client_credential")), 40002),
        ("all right", right.clone(), 0),
    ];
    for (name, query, errcode) in table {
        assert_eq!(verdict(&mut logins, &query, now()), errcode, "{name}");
    }
}

#[test]
fn a_code_is_good_once_and_for_five_minutes() {
    let later = |seconds| now().plus(Duration::from_secs(seconds));
    let mut logins = Logins::new(&credentials().appid);
    let [first, second] = [(); 2].map(|()| logins.new_code(openid(), None, now()));
    let table = [
        (&first, later(299), 0),
        (&first, later(299), 40163),
        (&second, later(300), 40029),
    ];
    for (code, at, errcode) in table {
        assert_eq!(verdict(&mut logins, &good(code), at), errcode);
    }
}

#[test]
fn each_login_has_its_own_session_key_of_sixteen_bytes() {
    let mut logins = Logins::new(&credentials().appid);
    let sessions = [(); 2].map(|()| {
        let code = logins.new_code(openid(), None, now());
        logins.redeem(&code, now()).unwrap()
    });
    assert_eq!(sessions[0].openid, sessions[1].openid);
    assert_ne!(sessions[0].session_key, sessions[1].session_key);
    let key = data_encoding::BASE64.decode(sessions[0].session_key.as_bytes());
    assert_eq!(key.unwrap().len(), 16);
}

#[test]
fn a_code_made_to_fail_fails_as_planned_and_only_so() {
    let mut logins = Logins::new(&credentials().appid);
    for errcode in [-1, 40226, 45011] {
        let code = logins.new_code(openid(), planned(errcode), now());
        assert_eq!(verdict(&mut logins, &good(&code), now()), errcode);
    }
    assert_eq!(planned(40029), None);
}

#[test]
fn an_openid_is_known_when_it_was_made_here_or_named_in_a_code() {
    use super::login::Known;
    let mut logins = Logins::new(&credentials().appid);
    assert_eq!(logins.knows(&openid()), Known::No);
    logins.new_code(openid(), None, now());
    assert_eq!(logins.knows(&openid()), Known::Yes);
    let made = logins.new_openid();
    let after_restart = Logins::new(&credentials().appid);
    assert_eq!(after_restart.knows(&made), Known::Yes);
}
