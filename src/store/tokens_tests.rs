use super::*;
use crate::store::KeyRange;
use crate::store::samples::{self, at, field_key, login, write};
use crate::store::users;

fn hash(n: u64) -> TokenHash {
    TokenHash::of(&format!("token {n}"))
}

async fn user(store: &Store, uid: u64) -> User {
    write(store, move |tx| {
        Ok(users::upsert(tx, &field_key(), &login(uid), at(0))?.0)
    })
    .await
}

fn session(user: &User, seconds: i64) -> NewSession {
    NewSession {
        user: user.clone(),
        session_key: Secret::from("tiihtNczf5v6AKRyjwEUhQ=="),
        scope: samples::SCOPE,
        issued_at: at(seconds),
        expires_at: at(seconds + 7200),
    }
}

async fn uid_of(tokens: &Tokens, n: u64, seconds: i64) -> Option<u64> {
    let session = tokens.lookup(hash(n), at(seconds)).await.unwrap();
    session.map(|session| session.uid().get())
}

/// Ends all tokens of a user as blocking does: on disk first, then in memory.
async fn end_all(store: &Store, tokens: &Tokens, uid: Uid) -> User {
    let after = write(store, move |tx| {
        let before = users::user(tx, &field_key(), uid)?.unwrap();
        let after = before.clone().tokens_ended();
        users::update(tx, &field_key(), &before, &after)?;
        Ok(after)
    })
    .await;
    tokens.end_all(&after);
    after
}

#[tokio::test]
async fn a_token_is_its_session_until_its_stored_time_in_memory_and_from_sled() {
    let store = Store::memory();
    let user = user(&store, 1).await;
    let warm = Tokens::new(store.clone(), field_key());
    warm.issue(hash(1), session(&user, 0)).await.unwrap();
    let cold = Tokens::new(store.clone(), field_key());
    for tokens in [&warm, &cold, &cold] {
        assert_eq!(uid_of(tokens, 1, 7199).await, Some(1));
        assert_eq!(uid_of(tokens, 1, 7200).await, None);
        assert_eq!(uid_of(tokens, 2, 0).await, None);
        let session = tokens.lookup(hash(1), at(0)).await.unwrap().unwrap();
        let opened = session.session_key(&field_key()).unwrap();
        assert!(opened.matches("tiihtNczf5v6AKRyjwEUhQ=="));
        assert!(session.session_key(&FieldKey::new([1; 32])).is_err());
    }
}

#[tokio::test]
async fn a_revoked_token_stays_revoked_everywhere() {
    let store = Store::memory();
    let user = user(&store, 1).await;
    let tokens = Tokens::new(store.clone(), field_key());
    for n in 1..=2 {
        tokens.issue(hash(n), session(&user, 0)).await.unwrap();
    }
    let first = tokens.lookup(hash(1), at(1)).await.unwrap().unwrap();
    tokens.revoke(hash(1), &first).await.unwrap();
    for tokens in [&tokens, &Tokens::new(store.clone(), field_key())] {
        assert_eq!(uid_of(tokens, 1, 1).await, None);
        assert_eq!(uid_of(tokens, 2, 1).await, Some(1));
    }
}

#[tokio::test]
async fn what_sled_said_before_a_revocation_is_not_made_hot_after_it() {
    let store = Store::memory();
    let user = user(&store, 1).await;
    let tokens = Tokens::new(store.clone(), field_key());
    tokens.issue(hash(1), session(&user, 0)).await.unwrap();
    let other = Tokens::new(store.clone(), field_key());
    let Known::Unknown(revoked) = other.map.known(hash(1), &store) else {
        panic!("nothing is known of a token that another process gave");
    };
    let read = store.read(|view| kept(view, hash(1))).await.unwrap();
    let slow = Arc::new(read.unwrap());
    other.revoke(hash(1), &slow).await.unwrap();
    other.map.found(hash(1), &slow, revoked);
    assert_eq!(uid_of(&other, 1, 1).await, None);
}

#[tokio::test]
async fn ending_all_tokens_of_a_user_spares_the_next_login_of_the_same_second() {
    let store = Store::memory();
    let (one, two) = (user(&store, 1).await, user(&store, 2).await);
    let tokens = Tokens::new(store.clone(), field_key());
    tokens.issue(hash(1), session(&one, 5)).await.unwrap();
    tokens.issue(hash(2), session(&two, 5)).await.unwrap();
    let after = end_all(&store, &tokens, one.uid).await;
    // A login that read the user before the block and comes to its token after it.
    tokens.issue(hash(3), session(&one, 5)).await.unwrap();
    tokens.issue(hash(4), session(&after, 5)).await.unwrap();
    for tokens in [&tokens, &Tokens::new(store.clone(), field_key())] {
        let mut alive = vec![];
        for n in 1..=4 {
            alive.push(uid_of(tokens, n, 6).await);
        }
        assert_eq!(alive, [None, Some(2), None, Some(1)]);
    }
}

#[tokio::test]
async fn the_twenty_first_token_of_a_user_ends_the_oldest_also_within_one_second() {
    let store = Store::memory();
    let (one, two) = (user(&store, 1).await, user(&store, 2).await);
    let tokens = Tokens::new(store.clone(), field_key());
    tokens.issue(hash(100), session(&two, 0)).await.unwrap();
    for n in 0..25 {
        tokens.issue(hash(n), session(&one, 5)).await.unwrap();
    }
    for tokens in [&tokens, &Tokens::new(store.clone(), field_key())] {
        for n in 0..25 {
            let want = (n >= 5).then_some(1);
            assert_eq!(uid_of(tokens, n, 6).await, want, "token {n}");
        }
        assert_eq!(uid_of(tokens, 100, 6).await, Some(2));
    }
}

#[tokio::test]
async fn the_oldest_go_also_when_the_list_is_only_in_sled() {
    let store = Store::memory();
    let one = user(&store, 1).await;
    for n in 0..25 {
        let tokens = Tokens::new(store.clone(), field_key());
        tokens.issue(hash(n), session(&one, 5)).await.unwrap();
    }
    let tokens = Tokens::new(store.clone(), field_key());
    for n in 0..25 {
        assert_eq!(uid_of(&tokens, n, 6).await, (n >= 5).then_some(1));
    }
}

#[tokio::test]
async fn tokens_that_were_given_back_displace_no_other() {
    let store = Store::memory();
    let one = user(&store, 1).await;
    let tokens = Tokens::new(store.clone(), field_key());
    tokens.issue(hash(0), session(&one, 0)).await.unwrap();
    for n in 1..50 {
        tokens.issue(hash(n), session(&one, 5)).await.unwrap();
        let given = tokens.lookup(hash(n), at(6)).await.unwrap().unwrap();
        tokens.revoke(hash(n), &given).await.unwrap();
        let cold = Tokens::new(store.clone(), field_key());
        assert_eq!(uid_of(&tokens, n, 6).await, None);
        assert_eq!(uid_of(&cold, n, 6).await, None);
    }
    assert_eq!(uid_of(&tokens, 0, 6).await, Some(1));
}

#[tokio::test]
async fn a_sweep_removes_the_expired_in_chunks_and_nothing_else() {
    let store = Store::memory();
    let tokens = Tokens::new(store.clone(), field_key());
    for uid in 1..=23 {
        let user = user(&store, uid).await;
        for n in 0..10 {
            let seconds = if n == 9 { 60 } else { 0 };
            tokens
                .issue(hash(uid * 100 + n), session(&user, seconds))
                .await
                .unwrap();
        }
    }
    let first = tokens.lookup(hash(100), at(1)).await.unwrap().unwrap();
    tokens.revoke(hash(100), &first).await.unwrap();
    assert_eq!(tokens.sweep(at(7199)).await, Ok(0));
    assert_eq!(tokens.sweep(at(7200)).await, Ok(SWEEP_MAX));
    assert_eq!(tokens.sweep(at(7200)).await, Ok(6));
    assert_eq!(tokens.sweep(at(7200)).await, Ok(0));
    let cache = KeyRange {
        from: vec![0xF0],
        to: vec![0xF9],
        ..KeyRange::prefix(&[1])
    };
    let left = store
        .read(move |view| collect(view, &cache, usize::MAX))
        .await
        .unwrap();
    assert_eq!(left.len(), 23 * 3);
    assert_eq!(uid_of(&tokens, 109, 7201).await, Some(1));
    assert_eq!(tokens.sweep(at(9999)).await, Ok(23));
    let cache = KeyRange {
        from: vec![0xF0],
        to: vec![0xF9],
        ..KeyRange::prefix(&[1])
    };
    let left = store
        .read(move |view| collect(view, &cache, usize::MAX))
        .await
        .unwrap();
    assert_eq!(left, vec![]);
}
