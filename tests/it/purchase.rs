//! The main job: from a wx.login code to a paid order, in each protocol and sign type.

use crate::world::World;

#[test]
fn a_purchase_goes_from_login_to_paid_in_v3() {
    buys_and_pays("v3", "HMAC-SHA256", "RSA");
}

#[test]
fn a_purchase_goes_from_login_to_paid_in_v2_with_md5() {
    buys_and_pays("v2", "MD5", "MD5");
}

#[test]
fn a_purchase_goes_from_login_to_paid_in_v2_with_hmac() {
    buys_and_pays("v2", "HMAC-SHA256", "HMAC-SHA256");
}

fn buys_and_pays(version: &'static str, sign_type: &'static str, shown: &str) {
    let world = World::with(|setup| {
        setup.version = version;
        setup.sign_type = sign_type;
    });
    let tea = world.merchant().sells("明前龙井 50g", 12_800, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 2);
    assert_eq!(world.merchant().stock(tea), 8);
    assert_eq!(buyer.see(&order_no)["status"], "pending");

    let fields = buyer.pay(&order_no);
    let mut names: Vec<&String> = fields.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["nonceStr", "package", "paySign", "signType", "timeStamp"]
    );
    assert_eq!(fields["signType"], shown);
    world.wechat.verifies(&fields);
    let paid = world.wechat.pays(&fields);

    let order = buyer.see(&order_no);
    assert_eq!(order["status"], "paid", "{order}");
    assert_eq!(order["total_fen"], 25_600);
    assert_eq!(order["transaction_id"], paid["transaction_id"]);
    assert!(
        order["paid_at"]
            .as_str()
            .is_some_and(|at| at.ends_with("+08:00")),
        "{order}"
    );
    assert_eq!(world.merchant().stock(tea), 8);
    assert_eq!(world.merchant().paid_events(&order_no), 1);
    let notify = &world.notifies.passed("/wx/pay/notify")[0];
    let status = notify.answer.as_ref().unwrap().second();
    assert_eq!(status, if version == "v3" { "204" } else { "200" });
    buyer.try_pay(&order_no).refuses(409, "ORDER_PAID");
}
