use super::*;

const RULE: LockRule = LockRule {
    failures: 3,
    lock: Duration::from_secs(60),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_767_196_800 + seconds)
}

fn try_from(name: &str, last: u8, seconds: i64) -> Attempt {
    let from = IpAddr::from([192, 0, 2, last]);
    Attempt::new(name, from, at(seconds))
}

/// The wait that an attempt is told, or `None` when it is let through (and counted).
fn wait(lockout: &Lockout, attempt: Attempt) -> Option<u64> {
    match lockout.begin(attempt) {
        Ok(()) => None,
        Err(ShopError::RateLimited { retry_after_s }) => Some(retry_after_s),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn each_lock_is_twice_as_long_as_the_one_before_up_to_sixty_four_times() {
    let lockout = Lockout::new(RULE);
    let mut now = 0;
    for _ in 0..3 {
        assert_eq!(wait(&lockout, try_from("boss", 1, now)), None);
    }
    for lock in [60, 120, 240, 480, 960, 1920, 3840, 3840] {
        assert_eq!(wait(&lockout, try_from("boss", 1, now)), Some(lock));
        now += i64::try_from(lock).unwrap() - 1;
        assert_eq!(wait(&lockout, try_from("boss", 1, now)), Some(1));
        now += 1;
        assert_eq!(wait(&lockout, try_from("boss", 1, now)), None);
    }
}

#[test]
fn one_address_locks_a_name_for_itself_only() {
    let lockout = Lockout::new(RULE);
    for _ in 0..3 {
        assert_eq!(wait(&lockout, try_from("boss", 1, 0)), None);
    }
    assert!(wait(&lockout, try_from("boss", 1, 0)).is_some());
    assert_eq!(wait(&lockout, try_from("boss", 2, 0)), None);
    assert_eq!(wait(&lockout, try_from("clerk", 1, 0)), None);
}

#[test]
fn an_address_that_tries_name_after_name_is_locked_for_all() {
    let lockout = Lockout::new(RULE);
    for number in 0..12 {
        let name = format!("name {number}");
        assert_eq!(wait(&lockout, try_from(&name, 1, 0)), None);
    }
    assert_eq!(wait(&lockout, try_from("another", 1, 0)), Some(60));
    assert_eq!(wait(&lockout, try_from("another", 2, 0)), None);
}

#[test]
fn many_addresses_lock_a_name_but_not_where_its_owner_logged_in_before() {
    let lockout = Lockout::new(RULE);
    lockout.begin(try_from("boss", 200, 0)).unwrap();
    lockout.succeeded(try_from("boss", 200, 0));
    for last in 0..60 {
        assert_eq!(wait(&lockout, try_from("boss", last, 0)), None);
    }
    assert_eq!(wait(&lockout, try_from("boss", 99, 0)), Some(60));
    assert_eq!(wait(&lockout, try_from("boss", 200, 0)), None);
    // Further failures do not make it longer.
    assert_eq!(wait(&lockout, try_from("boss", 99, 60)), None);
    assert_eq!(wait(&lockout, try_from("boss", 98, 60)), Some(60));
    lockout.forgive("boss");
    assert_eq!(wait(&lockout, try_from("boss", 98, 60)), None);
}

#[test]
fn a_right_password_starts_its_place_anew_and_what_was_not_judged_does_not_count() {
    let lockout = Lockout::new(RULE);
    for _ in 0..2 {
        lockout.begin(try_from("boss", 1, 0)).unwrap();
    }
    lockout.begin(try_from("boss", 1, 0)).unwrap();
    lockout.succeeded(try_from("boss", 1, 0));
    for _ in 0..10 {
        let attempt = try_from("boss", 1, 1);
        lockout.begin(attempt).unwrap();
        lockout.withdraw(attempt);
    }
    for _ in 0..3 {
        assert_eq!(wait(&lockout, try_from("boss", 1, 1)), None);
    }
    assert!(wait(&lockout, try_from("boss", 1, 1)).is_some());
}

#[test]
fn failures_are_forgotten_an_hour_after_their_lock() {
    let lockout = Lockout::new(RULE);
    for _ in 0..3 {
        lockout.begin(try_from("boss", 1, 0)).unwrap();
    }
    for _ in 0..3 {
        let attempt = try_from("boss", 1, 60 + 3600);
        assert_eq!(wait(&lockout, attempt), None);
    }
    lockout.forget_quiet(at(60 + 3600 + 60 + 3600));
    assert!(lockout.counters().places.0.is_empty());
}

#[test]
fn the_counters_are_bounded_and_the_quietest_gives_way() {
    let mut counter = Counter::<usize>::default();
    for who in 0..ENTRIES_MAX + 5 {
        let now = at(i64::try_from(who / 100).unwrap());
        counter.fail(who, RULE, now);
    }
    assert_eq!(counter.0.len(), ENTRIES_MAX);
    assert!(counter.0.contains_key(&(ENTRIES_MAX + 4)));
    assert!((0..100).any(|who| !counter.0.contains_key(&who)));
}
