//! Endings in which no money came: the order is closed, at WeChat too, and its stock is back.

use serde_json::{Value, json};
use zhanggui::base::rsa::PrivateKey;
use zhanggui::base::xml::Fields;

use crate::endings_books::{Noticed, Row};
use crate::endings_till::{STOCK, TOTAL, Till, at};
use crate::notify::{self, Notify, V3, acknowledges, transaction};

/// Asserts that the order and all its trades are closed, and says how long after `since` it was.
fn closed_since(till: &Till, since: &Value) -> Noticed {
    let order = till.order();
    assert_eq!(order["status"], "closed", "{order:#}");
    assert_eq!(order["closing_since"], Value::Null);
    assert_eq!(till.merchant().stock(till.goods), STOCK);
    for trade in till.trades() {
        assert_eq!(trade["trade_state"], "CLOSED", "{trade}");
    }
    let after_s = at(&order["closed_at"]).unix() - at(since).unix();
    Noticed {
        who: "ourselves",
        after_s,
    }
}

pub(crate) fn never_asked(version: &'static str) -> Row {
    let till = Till::open(version);
    till.world.wechat.advance(1800);
    till.walk("it is closed", (1, 5), || till.status() == "closed");
    let noticed = closed_since(&till, &till.order()["expires_at"]);
    assert_eq!(till.trades().len(), 0, "{version}");
    till.ends("never asked to pay, expired", noticed.within(5))
}

pub(crate) fn expired(version: &'static str) -> Row {
    let till = Till::open(version);
    till.buyer.pay(&till.order_no);
    till.world.wechat.advance(1800);
    till.walk("it is closed", (5, 60), || till.status() == "closed");
    let noticed = closed_since(&till, &till.order()["expires_at"]);
    till.ends("never paid, expired", noticed.within(60))
}

pub(crate) fn cancelled(version: &'static str) -> Row {
    let till = Till::open(version);
    till.buyer.pay(&till.order_no);
    till.old_enough_to_close();
    let wished_at = json!(till.now().rfc3339());
    assert_eq!(till.cancel().expect(200)["status"], "closed", "{version}");
    let noticed = closed_since(&till, &wished_at);
    till.cancel().expect(200);
    till.buyer
        .try_pay(&till.order_no)
        .refuses(409, "ORDER_CLOSED");
    till.ends("never paid, cancelled", noticed.within(2))
}

pub(crate) fn cancelled_young(version: &'static str) -> Row {
    let till = Till::open(version);
    till.buyer.pay(&till.order_no);
    let opened_at = at(&till.trades()[0]["created_at"]);
    let order = till.cancel().expect(200);
    let possible_at = match version {
        "v2" => {
            assert_eq!(order["status"], "pending", "{order}");
            assert!(order["closing_since"].is_string(), "{order}");
            till.buyer
                .try_pay(&till.order_no)
                .refuses(409, "ORDER_CLOSED");
            till.world.wechat.advance(290);
            assert_eq!(
                till.status(),
                "pending",
                "{version}: not before WeChat allows it"
            );
            opened_at.unix() + 300
        }
        _ => opened_at.unix(),
    };
    till.walk("it is closed", (5, 75), || till.status() == "closed");
    let possible_at = json!(zhanggui::base::Timestamp::from_unix(possible_at).rfc3339());
    let noticed = closed_since(&till, &possible_at);
    till.ends(
        "cancelled as soon as opened (from when it is possible)",
        noticed.within(60),
    )
}

pub(crate) fn forged(version: &'static str) -> Row {
    let till = Till::open(version);
    till.buyer.pay(&till.order_no);
    let before = till.world.state();
    for forged in forgeries(&till) {
        let reply = till.world.deliver(&forged);
        assert!(!acknowledges(&reply), "{version}: {}", reply.text());
        assert_eq!(till.world.state(), before, "{version}");
    }
    till.world.wechat.advance(1800);
    till.walk("it is closed", (5, 60), || till.status() == "closed");
    let noticed = closed_since(&till, &till.order()["expires_at"]);
    till.ends("never paid, forged notify, expired", noticed.within(60))
}

/// A payment notify in each protocol, made by someone without the keys.
fn forgeries(till: &Till) -> [Notify; 2] {
    let mut maker = V3::genuine(&till.world);
    maker.private_key = PrivateKey::generate();
    let paid = transaction(&till.world, &till.buyer, &till.order_no, TOTAL);
    let setting = |section: &str, key: &str| till.world.setting(section, key).unwrap();
    let fields = Fields::new()
        .with("appid", setting("wechat", "appid"))
        .with("mch_id", setting("wechat.pay", "mchid"))
        .with("openid", till.buyer.openid.as_str())
        .with("out_trade_no", till.order_no.as_str())
        .with("result_code", "SUCCESS")
        .with("return_code", "SUCCESS")
        .with("time_end", "20260101120000")
        .with("total_fee", TOTAL.to_string())
        .with("transaction_id", "4200000000202601010000000001");
    let key = "0123456789abcdef0123456789abcdef";
    [maker.notify(&paid), notify::v2(&fields, key, "HMAC-SHA256")]
}
