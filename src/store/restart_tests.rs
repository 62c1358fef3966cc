//! Records and tokens on the real engine: closed, killed, opened again.

use std::sync::Arc;
use std::time::Duration;

use super::histories::{Step, all, faults, live};
use super::orders::OrderQuery;
use super::samples::{SCOPE, at, field_key, login, write};
use super::test_home::{Home, try_open};
use super::tokens::{NewSession, TOKENS_MAX, TokenHash, Tokens};
use super::{OpenError, OpenReport, Store, WorkingSet, users};
use crate::base::Secret;
use crate::model::User;

/// Opens the store as soon as the writer of one that was dropped has let go of it.
fn reopen(home: &Home) -> (Store, OpenReport) {
    for _ in 0..1000 {
        match try_open(&home.dir) {
            Err(OpenError::Locked { .. }) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("a dropped store kept its lock for ten seconds");
}

fn history() -> Vec<Step> {
    let place = |uid| Step::Place(uid, 1);
    let ends = [
        Step::Pay(0),
        Step::Attempt(1),
        Step::Close(1),
        Step::Close(2),
    ];
    let later = [Step::Phone(1, 1), Step::Ship(0), Step::Pay(1)];
    let steps = (1..4).flat_map(|uid| [place(uid), Step::Phone(uid, 2)]);
    steps.chain(ends).chain([place(1)]).chain(later).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_agree_and_orders_are_there_after_a_close_and_after_a_kill() {
    let home = Home::new();
    let (store, _) = try_open(&home.dir).unwrap();
    live(&store, history()).await;
    let before = all(&store, &OrderQuery::default(), 3).await;
    assert_eq!(before.len(), 4);
    assert_eq!(faults(&store).await, Vec::<String>::new());
    store.close().await.unwrap();
    drop(store);
    for want_rebuilt in [false, true, true] {
        let (store, report) = reopen(&home);
        let rebuilt = matches!(report.working_set, WorkingSet::Rebuilt { .. });
        assert_eq!(rebuilt, want_rebuilt);
        assert_eq!(all(&store, &OrderQuery::default(), 3).await, before);
        assert_eq!(faults(&store).await, Vec::<String>::new());
    }
}

fn hash(n: usize) -> TokenHash {
    TokenHash::of(&format!("token {n}"))
}

fn session(user: &User) -> NewSession {
    NewSession {
        user: user.clone(),
        session_key: Secret::from("tiihtNczf5v6AKRyjwEUhQ=="),
        scope: SCOPE,
        issued_at: at(0),
        expires_at: at(7200),
    }
}

fn open(home: &Home) -> (Store, Arc<Tokens>) {
    let (store, _) = reopen(home);
    let tokens = Tokens::new(store.clone(), field_key());
    (store, Arc::new(tokens))
}

async fn user(store: &Store, uid: u64) -> User {
    write(store, move |tx| {
        Ok(users::upsert(tx, &field_key(), &login(uid), at(0))?.0)
    })
    .await
}

async fn alive(tokens: &Tokens, numbers: std::ops::Range<usize>) -> Vec<usize> {
    let mut alive = vec![];
    for n in numbers {
        if tokens.lookup(hash(n), at(1)).await.unwrap().is_some() {
            alive.push(n);
        }
    }
    alive
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_a_restart_and_revoked_ones_do_not_come_back() {
    let home = Home::new();
    let (store, tokens) = open(&home);
    let (one, two) = (user(&store, 1).await, user(&store, 2).await);
    for n in 0..4 {
        let of = if n < 2 { &one } else { &two };
        tokens.issue(hash(n), session(of)).await.unwrap();
    }
    let first = tokens.lookup(hash(0), at(1)).await.unwrap().unwrap();
    tokens.revoke(hash(0), &first).await.unwrap();
    let ended = write(&store, move |tx| {
        let after = two.clone().tokens_ended();
        users::update(tx, &field_key(), &two, &after)?;
        Ok(after)
    });
    tokens.end_all(&ended.await);
    assert_eq!(alive(&tokens, 0..4).await, [1]);
    store.close().await.unwrap();
    drop((store, tokens));
    let (_store, tokens) = open(&home);
    assert_eq!(alive(&tokens, 0..4).await, [1]);
    drop((_store, tokens));
    let (_store, tokens) = open(&home);
    assert_eq!(
        alive(&tokens, 0..4).await,
        [0; 0],
        "a kill ends them, which is accepted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_at_once_leave_a_user_the_newest_tokens_and_no_more() {
    let home = Home::new();
    let (store, tokens) = open(&home);
    let one = user(&store, 1).await;
    let logins = (0..100).map(|n| {
        let (tokens, new) = (Arc::clone(&tokens), session(&one));
        tokio::spawn(async move { tokens.issue(hash(n), new).await })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap().unwrap();
    }
    let left = alive(&tokens, 0..100).await;
    assert_eq!(left.len(), TOKENS_MAX);
    store.close().await.unwrap();
    drop((store, tokens));
    let (_store, tokens) = open(&home);
    assert_eq!(alive(&tokens, 0..100).await, left);
}
