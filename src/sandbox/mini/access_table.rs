//! Access tokens as tables: who gets one, how long it lives, what a call says of a bad one.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::access::{AccessTokens, TokenAsked};
use crate::base::Timestamp;
use crate::sandbox::fixtures::{credentials, now};
use crate::sandbox::login::Errcode;

fn right() -> TokenAsked {
    TokenAsked {
        grant_type: Some("client_credential".to_owned()),
        appid: Some(credentials().appid.to_string()),
        secret: Some(credentials().secret.reveal().clone()),
        force_refresh: false,
    }
}

fn forced() -> TokenAsked {
    TokenAsked {
        force_refresh: true,
        ..right()
    }
}

fn later(seconds: u64) -> Timestamp {
    now().plus(Duration::from_secs(seconds))
}

fn stable(tokens: &mut AccessTokens, asked: &TokenAsked, at: Timestamp) -> (String, u64) {
    let granted = tokens.stable(credentials(), asked, at);
    let granted = granted.unwrap_or_else(|why| panic!("{why:?}"));
    (granted.access_token, granted.expires_in)
}

fn errcode<T>(judged: Result<T, Errcode>) -> i64 {
    judged.map_or_else(|why| why.errcode, |_| 0)
}

#[test]
fn each_field_of_a_token_request_has_its_errcode_and_a_wrong_secret_one_in_each_interface() {
    let text = |value: &str| Some(value.to_owned());
    let grant = |grant_type| TokenAsked {
        grant_type,
        ..right()
    };
    let appid = |appid| TokenAsked { appid, ..right() };
    let secret = |secret| TokenAsked { secret, ..right() };
    let table = [
        ("right", right(), 0, 0),
        ("grant missing", grant(None), 40002, 40002),
        (
            "grant wrong",
            grant(text("authorization_code")),
            40002,
            40002,
        ),
        ("appid missing", appid(None), 41002, 41002),
        ("appid empty", appid(text("")), 41002, 41002),
        (
            "appid wrong",
            appid(text("wx8888888888888888")),
            40013,
            40013,
        ),
        ("secret missing", secret(None), 41004, 41004),
        ("secret empty", secret(text("")), 41004, 41004),
        ("secret wrong", secret(text("0123")), 40125, 40001),
    ];
    for (name, asked, of_stable, of_legacy) in table {
        let mut tokens = AccessTokens::default();
        let found = errcode(tokens.stable(credentials(), &asked, now()));
        assert_eq!(found, of_stable, "stable: {name}");
        let found = errcode(tokens.legacy(credentials(), &asked, now()));
        assert_eq!(found, of_legacy, "legacy: {name}");
    }
}

#[test]
fn a_stable_token_stays_the_same_until_five_minutes_before_its_end() {
    let mut tokens = AccessTokens::default();
    let (first, life) = stable(&mut tokens, &right(), now());
    assert_eq!((first.len() > 128, life), (true, 7200));
    assert_eq!(
        stable(&mut tokens, &right(), later(6899)),
        (first.clone(), 301)
    );
    let (second, life) = stable(&mut tokens, &right(), later(6900));
    assert_ne!(first, second);
    assert_eq!(life, 7200);
    assert_eq!(errcode(tokens.check(Some(&first), later(7199))), 0);
    assert_eq!(errcode(tokens.check(Some(&first), later(7200))), 42001);
    assert_eq!(errcode(tokens.check(Some(&second), later(7200))), 0);
}

#[test]
fn a_forced_refresh_kills_the_old_token_at_once_and_no_legacy_one() {
    let mut tokens = AccessTokens::default();
    let (old, _) = stable(&mut tokens, &right(), now());
    let legacy = tokens.legacy(credentials(), &right(), now());
    let legacy = legacy.ok().unwrap().access_token;
    let (new, _) = stable(&mut tokens, &forced(), now());
    assert_eq!(errcode(tokens.check(Some(&old), now())), 40001);
    assert_eq!(errcode(tokens.check(Some(&new), now())), 0);
    assert_eq!(errcode(tokens.check(Some(&legacy), now())), 0);
    assert_eq!(stable(&mut tokens, &right(), now()).0, new);
}

#[test]
fn a_forced_refresh_comes_every_thirty_seconds_and_twenty_times_a_day() {
    let mut tokens = AccessTokens::default();
    stable(&mut tokens, &forced(), now());
    let early = tokens.stable(credentials(), &forced(), later(29));
    assert_eq!(errcode(early), 45011);
    for turn in 1..20 {
        stable(&mut tokens, &forced(), later(turn * 30));
    }
    let over = tokens.stable(credentials(), &forced(), later(600));
    assert_eq!(errcode(over), 45009);
    // Beijing's midnight is 86,370 s after the fixture's 00:00:30.
    assert_eq!(
        errcode(tokens.stable(credentials(), &forced(), later(86_370))),
        0
    );
}

#[test]
fn each_legacy_call_makes_a_new_token_and_leaves_the_old_one_five_minutes() {
    let mut tokens = AccessTokens::default();
    let mut legacy = |at| {
        tokens
            .legacy(credentials(), &right(), at)
            .ok()
            .unwrap()
            .access_token
    };
    let (first, second) = (legacy(now()), legacy(later(10)));
    assert_ne!(first, second);
    assert_eq!(errcode(tokens.check(Some(&first), later(309))), 0);
    assert_eq!(errcode(tokens.check(Some(&first), later(310))), 42001);
    assert_eq!(errcode(tokens.check(Some(&second), later(310))), 0);
}

#[test]
fn a_call_without_a_good_token_is_told_what_is_wrong_with_it() {
    let mut tokens = AccessTokens::default();
    let (good, _) = stable(&mut tokens, &right(), now());
    let altered = format!("{}0", &good[..good.len() - 1]);
    let table = [
        (None, 41001),
        (Some(""), 41001),
        (Some("x"), 40014),
        (Some("86_unknown"), 40001),
        (
            Some(altered.as_str()),
            if altered == good { 0 } else { 40001 },
        ),
        (Some(good.as_str()), 0),
    ];
    for (token, wanted) in table {
        assert_eq!(errcode(tokens.check(token, now())), wanted, "{token:?}");
    }
}

#[test]
fn ten_thousand_calls_a_minute_are_served_and_no_more() {
    let mut tokens = AccessTokens::default();
    for _ in 0..10_000 {
        stable(&mut tokens, &right(), now());
    }
    assert_eq!(
        errcode(tokens.stable(credentials(), &right(), now())),
        45011
    );
    stable(&mut tokens, &right(), later(60));
}
