//! What is told to nobody: a card, its owner, keys, tokens and session keys are in no log and in no
//! timeline, whatever happened to the order.

use serde_json::{Value, json};

use crate::world::World;

const CARD: &str = "6222021234567890123";
const OWNER: &str = "欧阳静宜";

/// The texts under `name` in all bodies that WeChat's mini-program side answered with.
fn answered(world: &World, name: &str) -> Vec<String> {
    let passed = world.upstream.passed("/");
    let bodies = passed.iter().filter_map(|passed| passed.answer.as_ref());
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
    let found = bodies.filter_map(|answer| read(&answer.body)?[name].as_str().map(str::to_owned));
    found.collect()
}

#[test]
fn a_refund_that_went_to_a_card_leaves_no_secret_in_log_or_timeline() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let merchant = world.merchant();
    let tea = merchant.sells("龙井", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    let path = format!("/admin/v1/orders/{order_no}/refunds");
    let body = json!({ "amount_fen": 100, "reason": "不想要了" });
    let refund = merchant.caller.call("POST", &path, &body).expect(201);
    let number = refund["refund_no"].as_str().unwrap();
    let ended = json!({ "status": "ABNORMAL" });
    let finish = format!("/sandbox/refunds/{number}/finish");
    world.wechat.call("POST", &finish, &ended).expect(200);
    let card = json!({ "to": "user_bank_card", "bank_type": "ICBC_DEBIT",
        "bank_account": CARD, "real_name": OWNER });
    let retry = format!("{path}/{number}/retry");
    let again = merchant.caller.call("POST", &retry, &card).expect(200);
    assert_eq!(again["status"], "processing");
    // The doctor asks for an access token under the same keys.
    let doctor = world.command(&["check"]);
    assert_eq!(doctor.code, Some(0), "{doctor:?}");

    let timeline = merchant.order(&order_no)["events"].to_string();
    assert!(timeline.contains(number), "{timeline}");
    let shown = world.command(&["order", "show", &order_no]);
    let said = [&doctor, &shown].map(|said| format!("{}{}", said.out, said.err));
    let told = [world.log(), timeline, said.concat()].concat();
    let mut secrets = vec![CARD.to_owned(), OWNER.to_owned(), buyer.token.clone()];
    for name in ["session_key", "access_token"] {
        let found = answered(&world, name);
        assert!(!found.is_empty(), "{name} was never answered");
        secrets.extend(found);
    }
    for (section, key) in [
        ("wechat", "secret"),
        ("wechat.pay", "v2_key"),
        ("wechat.pay", "v3_key"),
        ("store", "field_key"),
    ] {
        secrets.push(world.setting(section, key).unwrap());
    }
    let file = world.setting("wechat.pay", "merchant_key_file").unwrap();
    let pem = std::fs::read_to_string(file).unwrap();
    secrets.push(pem.lines().nth(3).unwrap().to_owned());
    let sealed = world.upstream.passed("/v3/refund/domestic/refunds/");
    let sealed = sealed
        .iter()
        .find(|passed| passed.target().contains("abnormal"));
    let sealed: Value = serde_json::from_slice(&sealed.unwrap().request.body).unwrap();
    secrets.push(sealed["bank_account"].as_str().unwrap().to_owned());
    for secret in &secrets {
        assert!(
            !secret.is_empty() && !told.contains(secret),
            "told: {secret}"
        );
    }
}
