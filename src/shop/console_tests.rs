use std::sync::Arc;

use super::*;
use crate::base::totp::TotpKey;
use crate::shop::tests::{settings_of, shop_from};
use crate::store::Store;

const RIGHT: &str = "correct horse battery";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_767_196_800 + seconds)
}

async fn shop() -> Arc<Shop> {
    let settings = settings_of("wx0000000000000001".parse().unwrap());
    let shop = shop_from(
        settings,
        "http://127.0.0.1:1",
        "http://127.0.0.1:1",
        Store::memory(),
    );
    let created = shop.create_admin("boss".to_owned(), Secret::from(RIGHT), at(0));
    created.await.unwrap();
    shop
}

fn login(username: &str, password: &str) -> ConsoleLogin {
    ConsoleLogin {
        username: username.to_owned(),
        password: Secret::from(password),
        totp: None,
        from: IpAddr::from([192, 0, 2, 7]),
        brought: None,
        at: at(0),
    }
}

async fn logged_in(shop: &Shop) -> ConsoleLoggedIn {
    shop.log_in_admin(login("boss", RIGHT)).await.unwrap()
}

#[tokio::test]
async fn a_name_that_does_not_exist_costs_one_hash_like_a_wrong_password_and_says_the_same() {
    let shop = shop().await;
    let mut answers = vec![];
    for name in ["boss", "nobody", "Boss", "boss "] {
        let before = shop.passwords.judged();
        let error = shop.log_in_admin(login(name, "wrong password")).await.err();
        assert!(matches!(error, Some(ShopError::LoginFailed)), "{name}");
        assert_eq!(shop.passwords.judged(), before + 1, "{name}");
        answers.push(error.unwrap().to_string());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn a_lock_comes_before_the_hash_and_meets_names_that_do_not_exist_too() {
    let shop = shop().await;
    for name in ["boss", "nobody"] {
        for _ in 0..5 {
            let failed = shop.log_in_admin(login(name, "wrong password")).await;
            assert!(matches!(failed.err(), Some(ShopError::LoginFailed)));
        }
        let before = shop.passwords.judged();
        for password in ["wrong password", RIGHT] {
            match shop.log_in_admin(login(name, password)).await.err() {
                Some(ShopError::RateLimited { retry_after_s }) => assert_eq!(retry_after_s, 60),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(shop.passwords.judged(), before, "{name}");
    }
    // A new password set on the machine opens the name again.
    let fresh = "another good one";
    shop.change_password("boss", Secret::from(fresh))
        .await
        .unwrap();
    shop.log_in_admin(login("boss", fresh)).await.unwrap();
}

#[tokio::test]
async fn many_guesses_at_once_are_not_more_than_one_after_another() {
    let shop = shop().await;
    let guesses: Vec<_> = (0..12)
        .map(|_| {
            let shop = Arc::clone(&shop);
            tokio::spawn(async move { shop.log_in_admin(login("boss", "wrong password")).await })
        })
        .collect();
    let mut judged = 0;
    for guess in guesses {
        judged += usize::from(matches!(guess.await.unwrap(), Err(ShopError::LoginFailed)));
    }
    assert_eq!(judged, 5);
}

#[tokio::test]
async fn every_login_has_a_token_of_its_own_and_ends_the_session_it_brought() {
    let shop = shop().await;
    let first = logged_in(&shop).await;
    let second = logged_in(&shop).await;
    assert_ne!(first.token.reveal(), second.token.reveal());
    assert!(shop.console(&first.token, at(1)).await.is_ok());
    let brought = Some(first.token.clone());
    let again = ConsoleLogin {
        brought,
        ..login("boss", RIGHT)
    };
    let third = shop.log_in_admin(again).await.unwrap();
    assert_ne!(third.token.reveal(), first.token.reveal());
    assert!(shop.console(&first.token, at(1)).await.is_err());
    for live in [&second, &third] {
        assert!(shop.console(&live.token, at(1)).await.is_ok());
    }
    // A failed login ends nothing.
    let brought = Some(second.token.clone());
    let wrong = ConsoleLogin {
        brought,
        ..login("boss", "wrong password")
    };
    assert!(shop.log_in_admin(wrong).await.is_err());
    assert!(shop.console(&second.token, at(1)).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_by_time_by_logout_and_with_a_new_password() {
    let shop = shop().await;
    let (one, other) = (logged_in(&shop).await, logged_in(&shop).await);
    assert!(shop.console(&one.token, at(43_199)).await.is_ok());
    assert!(shop.console(&one.token, at(43_200)).await.is_err());
    shop.log_out_admin(&one.token).await.unwrap();
    assert!(shop.console(&one.token, at(1)).await.is_err());
    assert!(shop.console(&other.token, at(1)).await.is_ok());
    let fresh = Secret::from("another good one");
    shop.change_password("boss", fresh).await.unwrap();
    assert!(shop.console(&other.token, at(1)).await.is_err());
    let swept = shop.sweep_console(SweepFrom::default(), at(1)).await;
    assert_eq!(swept.unwrap(), SweepFrom::default());
    let nobody = shop.change_password("nobody", Secret::from("another good one"));
    assert!(nobody.await.is_err());
}

#[tokio::test]
async fn a_csrf_token_is_its_sessions_own() {
    let shop = shop().await;
    let (one, other) = (logged_in(&shop).await.token, logged_in(&shop).await.token);
    assert!(one.prove_write(Some(one.csrf().reveal())).is_ok());
    let forged = [
        Some(other.csrf().reveal().clone()),
        Some(String::new()),
        None,
    ];
    for shown in forged {
        assert!(one.prove_write(shown.as_deref()).is_err());
    }
    assert!(one.prove_write(Some(one.reveal())).is_err());
}

#[tokio::test]
async fn a_code_is_asked_for_after_the_right_password_only_and_is_good_once() {
    let shop = shop().await;
    let before = logged_in(&shop).await;
    let uri = shop.enrol_totp("boss").await.unwrap();
    assert!(shop.console(&before.token, at(1)).await.is_err());
    let key = uri.reveal().split(['=', '&']).nth(1).unwrap().to_owned();
    let key = data_encoding::BASE32_NOPAD.decode(key.as_bytes()).unwrap();
    let key = TotpKey::new(key);
    let code = (0..1_000_000)
        .map(|number| format!("{number:06}"))
        .find(|code| key.step_of(code, at(0), 0) == Some(at(0).unix() / 30));
    let try_with = |password: &str, totp: Option<&str>| {
        let totp = totp.map(str::to_owned);
        let login = ConsoleLogin {
            totp,
            ..login("boss", password)
        };
        let shop = Arc::clone(&shop);
        async move { shop.log_in_admin(login).await }
    };
    let code = code.as_deref();
    let failed = try_with("wrong password", code).await.err();
    assert!(matches!(failed, Some(ShopError::LoginFailed)));
    for (totp, fault) in [
        (None, SecondFactor::Required),
        (Some("x"), SecondFactor::Wrong),
    ] {
        match try_with(RIGHT, totp).await.err() {
            Some(ShopError::SecondFactor(said)) => assert_eq!(said, fault),
            other => panic!("{other:?}"),
        }
    }
    assert!(try_with(RIGHT, code).await.is_ok());
    let replayed = try_with(RIGHT, code).await.err();
    assert!(matches!(
        replayed,
        Some(ShopError::SecondFactor(SecondFactor::Wrong))
    ));
    shop.drop_totp("boss").await.unwrap();
    assert!(try_with(RIGHT, None).await.is_ok());
}
