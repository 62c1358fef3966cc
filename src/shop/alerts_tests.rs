//! Facts and the alerts they make; alerts and the news they make.

use super::*;

const NOW: i64 = 1_767_200_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(NOW + second)
}

/// The names and grades of what is wrong by these facts.
fn wrong(facts: &Facts) -> Vec<(String, u8)> {
    let found = found(facts, &AlertLimits::default(), at(0));
    for alert in &found {
        assert!(
            alert.said.contains('；') || alert.said.contains('：'),
            "{alert:?}"
        );
    }
    found
        .iter()
        .map(|alert| (alert.name(), alert.grade))
        .collect()
}

fn named(name: &str, grade: u8) -> Vec<(String, u8)> {
    vec![(name.to_owned(), grade)]
}

#[test]
fn a_shop_that_is_well_has_no_alert() {
    assert_eq!(wrong(&Facts::default()), vec![]);
}

#[test]
fn what_is_not_known_is_named_so_that_nothing_ends_for_lack_of_news() {
    let blind = Facts {
        certificates: vec![("wechat_platform", None), ("tls", Some(at(0)))],
        ..Facts::default()
    };
    let names = ["disk_low", "clock_skew", "certificate:wechat_platform"];
    assert_eq!(unknown(&blind), names);
    let seeing = Facts {
        disk_free_bytes: Some(0),
        skew_s: Some(0),
        ..Facts::default()
    };
    assert_eq!(unknown(&seeing), Vec::<String>::new());
}

#[test]
fn silence_is_an_alert_after_three_payments_and_ten_minutes() {
    for (payments, since, expected) in [
        (3, -600, named("notify_silence", 1)),
        (2, -600, vec![]),
        (3, -599, vec![]),
    ] {
        let since = at(since);
        let silence = Some(Silence { payments, since });
        let facts = Facts {
            silence,
            ..Facts::default()
        };
        assert_eq!(wrong(&facts), expected, "{payments} {since:?}");
    }
}

#[test]
fn a_certificate_is_an_alert_at_30_7_and_1_days_and_after_its_end() {
    const DAY_S: i64 = 86_400;
    for (left_s, grade) in [
        (30 * DAY_S, None),
        (30 * DAY_S - 1, Some(1)),
        (7 * DAY_S, Some(1)),
        (7 * DAY_S - 1, Some(2)),
        (DAY_S, Some(2)),
        (DAY_S - 1, Some(3)),
        (-1, Some(3)),
    ] {
        let facts = Facts {
            certificates: vec![("tls", Some(at(left_s)))],
            ..Facts::default()
        };
        let expected = grade.map_or(vec![], |grade| named("certificate:tls", grade));
        assert_eq!(wrong(&facts), expected, "{left_s}");
    }
}

#[test]
fn disk_and_clock_are_alerts_past_their_limits_in_two_grades() {
    for (free, expected) in [
        (2 << 30, vec![]),
        ((2 << 30) - 1, named("disk_low", 1)),
        ((1 << 29) - 1, named("disk_low", 2)),
    ] {
        let facts = Facts {
            disk_free_bytes: Some(free),
            ..Facts::default()
        };
        assert_eq!(wrong(&facts), expected, "{free}");
    }
    for (skew_s, expected) in [
        (60, vec![]),
        (61, named("clock_skew", 1)),
        (-61, named("clock_skew", 1)),
        (-300, named("clock_skew", 2)),
    ] {
        let facts = Facts {
            skew_s: Some(skew_s),
            ..Facts::default()
        };
        assert_eq!(wrong(&facts), expected, "{skew_s}");
    }
}

#[test]
fn a_chore_is_an_alert_when_it_failed_and_when_it_is_twice_late() {
    let chore = |age_s: i64, failure: Option<&str>| Chore {
        well_at: at(-age_s),
        every: Duration::from_secs(100),
        failure: failure.map(str::to_owned),
    };
    for (chore, grade) in [
        (chore(200, None), None),
        (chore(201, None), Some(2)),
        (chore(5, Some("没有空间")), Some(1)),
        (chore(201, Some("没有空间")), Some(2)),
    ] {
        let facts = Facts {
            backup: Some(chore.clone()),
            ..Facts::default()
        };
        let expected = grade.map_or(vec![], |grade| named("backup", grade));
        assert_eq!(wrong(&facts), expected, "{chore:?}");
        let facts = Facts {
            base: Some(chore),
            ..Facts::default()
        };
        assert_eq!(wrong(&facts).len(), usize::from(grade.is_some()));
    }
}

#[test]
fn late_work_open_differences_and_dead_endpoints_are_alerts_each_by_name() {
    let day = Day::of(at(0));
    let facts = Facts {
        differing: vec![(day, 2), (day, 3)],
        due: vec![("refund", at(-901)), ("query", at(-900))],
        dead_webhooks: vec![(3, "对方三天没有应答".to_owned())],
        ..Facts::default()
    };
    let names = wrong(&facts);
    let names: Vec<&str> = names.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        names,
        ["reconciliation", "due_overdue:refund", "webhook_dead:3"]
    );
}

/// How the news of an alert of `grade` are, when one of `before` was told this long ago.
fn news(before: Option<(u8, i64)>, grade: Option<u8>) -> Option<&'static str> {
    let standing = before.map(|(grade, ago_s)| Standing {
        name: "disk_low".to_owned(),
        grade,
        since: at(-99_999),
        told_at: at(-ago_s),
        said: "磁盘".to_owned(),
    });
    let found = grade.map(|grade| Alert::new("disk_low", grade, "磁盘".to_owned()));
    let (standing, found): (Vec<_>, Vec<_>) =
        (standing.into_iter().collect(), found.into_iter().collect());
    let news = decide(&standing, &found, at(0));
    assert!(news.len() <= 1);
    news.first().map(|news| match news {
        News::Raised(after) | News::Lasting(after) => {
            let since = if before.is_some() { at(-99_999) } else { at(0) };
            assert_eq!((after.told_at, after.since), (at(0), since));
            match news {
                News::Raised(_) => "raised",
                _ => "lasting",
            }
        }
        News::Cleared(_) => "cleared",
    })
}

#[test]
fn an_alert_is_told_once_then_daily_at_most_again_when_it_grows_and_when_it_ends() {
    let table = [
        (None, None, None),
        (None, Some(1), Some("raised")),
        (Some((1, 0)), Some(1), None),
        (Some((1, 86_399)), Some(1), None),
        (Some((1, 86_400)), Some(1), Some("lasting")),
        (Some((1, 10)), Some(2), Some("raised")),
        (Some((2, 10)), Some(1), None),
        (Some((2, 10)), None, Some("cleared")),
    ];
    for (before, grade, expected) in table {
        assert_eq!(news(before, grade), expected, "{before:?} {grade:?}");
    }
}
