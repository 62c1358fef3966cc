//! What is signed, what may be told next, and how long an endpoint is left alone.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(1_767_196_800 + second)
}

/// The vector of the Standard Webhooks specification's own libraries.
///
/// Source: Standard Webhooks · libraries, test vectors.
#[test]
fn a_message_is_signed_as_the_specification_signs_it() {
    let secret = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let secret = Secret::new(secret);
    let body = r#"{"test": 2432232314}"#;
    let now = Timestamp::from_unix(1_614_265_330);
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let request = signed(("https://a.example/", &secret), id, body, now);
    let header = |name: &str| {
        let mut all = request.headers.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| &**value)
    };
    assert_eq!(header("webhook-id"), Some(id));
    assert_eq!(header("webhook-timestamp"), Some("1614265330"));
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(header("webhook-signature"), Some(signature));
    assert_eq!(request.body, body.as_bytes());
}

#[test]
fn only_the_first_of_each_lane_may_be_told() {
    let entry = |lane: &str| Entry {
        event: "order.paid".to_owned(),
        lane: lane.to_owned(),
        body: String::new(),
        at: at(0),
        tries: 0,
        next_at: at(0),
    };
    let waiting = [(1, "a"), (2, "b"), (3, "a"), (4, "c"), (5, "b")];
    let waiting = waiting.map(|(serial, lane)| (serial, entry(lane)));
    let serials: Vec<u64> = heads(waiting.into())
        .iter()
        .map(|(serial, _)| *serial)
        .collect();
    assert_eq!(serials, [1, 2, 4]);
}

#[test]
fn pauses_grow_to_four_hours_and_stay() {
    let pauses = [1, 2, 3, 8, 9, 1000].map(|failures| pause(failures).as_secs());
    assert_eq!(pauses, [5, 30, 120, 14_400, 14_400, 14_400]);
}
