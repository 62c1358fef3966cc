use super::*;
use crate::store::samples::{self, at, field_key, login, write};
use crate::store::{Store, audit_indexes};

#[tokio::test]
async fn a_user_is_entered_once_and_known_by_openid_and_appid_together() {
    let store = Store::memory();
    let seen = |login: Login| {
        write(&store, move |tx| {
            let (user, seen) = upsert(tx, &field_key(), &login, at(9))?;
            Ok((user.uid.get(), seen))
        })
    };
    let elsewhere = Login {
        appid: "wx2".parse().unwrap(),
        ..login(1)
    };
    assert_eq!(seen(login(1)).await, (1, Seen::Created));
    assert_eq!(seen(login(1)).await, (1, Seen::Known));
    assert_eq!(seen(login(2)).await, (2, Seen::Created));
    assert_eq!(seen(elsewhere).await, (3, Seen::Created));
    assert_eq!(store.read(audit_indexes).await, Ok(vec![]));
}

#[tokio::test]
async fn a_unionid_told_later_is_kept_and_never_forgotten() {
    let store = Store::memory();
    let told = Login {
        unionid: Some("u1".to_owned()),
        ..login(1)
    };
    for (login, want) in [(login(1), None), (told, Some("u1")), (login(1), Some("u1"))] {
        let user = write(&store, move |tx| {
            Ok(upsert(tx, &field_key(), &login, at(0))?.0)
        })
        .await;
        assert_eq!(user.unionid.as_deref(), want);
    }
}

#[tokio::test]
async fn a_user_comes_back_as_kept_and_not_under_another_field_key() {
    let store = Store::memory();
    let user = write(&store, |tx| {
        let (before, _) = upsert(tx, &field_key(), &login(1), at(0))?;
        let after = samples::user(1);
        update(tx, &field_key(), &before, &after)?;
        Ok(after)
    })
    .await;
    let read = store.read(move |view| -> Result<(), StoreError> {
        assert_eq!(
            super::user(view, &field_key(), Uid::new(1))?,
            Some(user.clone())
        );
        let by_openid = by_openid(view, &field_key(), &user.appid, &user.openid)?;
        assert_eq!(by_openid, Some(user));
        let other = FieldKey::new([8; 32]);
        let closed = super::user(view, &other, Uid::new(1));
        assert_eq!(
            closed,
            Err(StoreError::Corrupt(
                "user U\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01".to_owned()
            ))
        );
        Ok(())
    });
    read.await.unwrap();
}

#[tokio::test]
async fn a_phone_finds_those_who_have_it_now_and_is_nowhere_in_the_clear() {
    let store = Store::memory();
    let phones = [
        (1, "13800000000"),
        (2, "13800000000"),
        (1, "13900000000"),
        (2, ""),
    ];
    let want = [vec![1], vec![1, 2], vec![2], vec![]];
    for ((uid, phone), want) in phones.into_iter().zip(want) {
        let found = write(&store, move |tx| {
            let (before, _) = upsert(tx, &field_key(), &login(uid), at(0))?;
            let after = User {
                phone: phone.to_owned(),
                ..before.clone()
            };
            update(tx, &field_key(), &before, &after)?;
            Ok(of_phone(tx, &field_key(), "13800000000")?)
        })
        .await;
        assert_eq!(found, want.into_iter().map(Uid::new).collect::<Vec<_>>());
    }
    assert_eq!(store.read(audit_indexes).await, Ok(vec![]));
    let everything = KeyRange {
        from: vec![1],
        to: vec![0xFF],
        ..KeyRange::prefix(&[1])
    };
    let kept = store
        .read(move |view| collect(view, &everything, usize::MAX))
        .await
        .unwrap();
    for (key, value) in kept {
        let clear = [key, value]
            .concat()
            .windows(11)
            .any(|part| part == b"13900000000");
        assert!(!clear);
    }
}

#[tokio::test]
async fn users_are_listed_newest_first_page_by_page() {
    let store = Store::memory();
    write(&store, |tx| {
        for uid in 1..=5 {
            upsert(tx, &field_key(), &login(uid), at(0))?;
        }
        Ok(())
    })
    .await;
    let (mut cursor, mut pages) = (None, vec![]);
    for _ in 0..3 {
        let wanted = PageWanted { cursor, limit: 2 };
        let page = store
            .read(move |view| list(view, &field_key(), &wanted))
            .await
            .unwrap();
        pages.push(
            page.items
                .iter()
                .map(|user| user.uid.get())
                .collect::<Vec<_>>(),
        );
        cursor = page.next_cursor;
    }
    assert_eq!(pages, [vec![5, 4], vec![3, 2], vec![1]]);
    assert_eq!(cursor, None);
}
