//! Messages to buyers: sent once, dropped when they cannot go out, and never a harm to an order.

use serde_json::json;

use super::*;
use crate::model::Delivery;
use crate::shop::parcel_stand::{PAYMENT, Parcels};

const SEND: &str = "message/subscribe/send";

fn template(id: &str, fields: &[&str]) -> Option<Template> {
    Some(Template {
        id: id.to_owned(),
        page: "pages/order?no={order_no}".to_owned(),
        fields: fields.iter().map(|field| field.parse().unwrap()).collect(),
    })
}

fn with_templates(settings: &mut crate::shop::Settings) {
    let paid = [
        "thing1=title",
        "amount2=total",
        "character_string3=order_no",
        "time4=paid_at",
    ];
    let shipped = [
        "thing1=company",
        "character_string2=tracking_no",
        "phrase3=text:已发货",
    ];
    settings.messages = Messages {
        paid: template("PAID", &paid),
        shipped: template("SHIPPED", &shipped),
        release: Release::Trial,
    };
}

#[tokio::test]
async fn a_paid_order_is_told_once_whoever_tells_of_the_payment() {
    let parcels = Parcels::paid_with(with_templates).await;
    parcels.stand.notified(1, PAYMENT).await;
    parcels.stand.sync().await.unwrap();
    parcels.stand.work().await;
    parcels.stand.pass(3600).await;
    let heard = parcels.mini.heard(SEND);
    assert_eq!(heard.len(), 1);
    let (body, order_no) = (&heard[0], parcels.stand.order_no.as_str());
    assert_eq!(
        (&body["touser"], &body["template_id"]),
        (&json!("o1"), &json!("PAID"))
    );
    assert_eq!(body["page"], format!("pages/order?no={order_no}"));
    assert_eq!(body["miniprogram_state"], "trial");
    assert_eq!(body["data"]["thing1"]["value"], "茶");
    assert_eq!(body["data"]["amount2"]["value"], "¥3.94");
    assert_eq!(body["data"]["character_string3"]["value"], order_no);
    assert_eq!(
        parcels.stand.lines("message.sent").await,
        ["已发送付款成功订阅消息"]
    );
}

#[tokio::test]
async fn a_payment_that_a_query_finds_is_told_too() {
    let parcels = Parcels::pending_with(with_templates).await;
    parcels.stand.pay().await.unwrap();
    let number = parcels.stand.number(1);
    parcels.stand.wechat.pays(&number).unwrap();
    parcels.stand.sync().await.unwrap();
    parcels.stand.work().await;
    assert_eq!(parcels.mini.heard(SEND).len(), 1);
}

#[tokio::test]
async fn a_shipped_order_is_told_with_its_couriers_name_at_its_first_parcel() {
    let parcels = Parcels::paid_with(with_templates).await;
    parcels.stand.work().await;
    parcels.ship("SF1", Delivery::Part).await.unwrap();
    parcels.stand.work().await;
    parcels.ship("SF2", Delivery::AllDelivered).await.unwrap();
    parcels.stand.work().await;
    let heard = parcels.mini.heard(SEND);
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[1]["template_id"], "SHIPPED");
    let values = &heard[1]["data"];
    assert_eq!(values["thing1"]["value"], "顺丰速运");
    assert_eq!(values["character_string2"]["value"], "SF1");
    assert_eq!(values["phrase3"]["value"], "已发货");
}

#[tokio::test]
async fn a_message_that_will_never_go_out_is_dropped_and_the_order_stands() {
    for (code, word) in [
        (43101, "没有订阅"),
        (47003, "47003"),
        (40037, "模板"),
        (43107, "封禁"),
    ] {
        let parcels = Parcels::paid_with(with_templates).await;
        parcels.mini.refuses(SEND, &[code]);
        parcels.stand.work().await;
        parcels.stand.pass(86_400).await;
        assert_eq!(parcels.mini.heard(SEND).len(), 1, "{code}");
        let lines = parcels.stand.lines("message.dropped").await;
        assert!(lines.len() == 1 && lines[0].contains(word), "{lines:?}");
        assert_eq!(parcels.stand.status().await, OrderStatus::Paid);
    }
}

#[tokio::test]
async fn a_busy_wechat_is_asked_four_times_in_all_and_a_silent_one_once() {
    let parcels = Parcels::paid_with(with_templates).await;
    parcels.mini.refuses(SEND, &[-1, 43108, -1, -1, -1]);
    parcels.stand.work().await;
    for _ in 0..6 {
        parcels.stand.pass(200).await;
    }
    assert_eq!(parcels.mini.heard(SEND).len(), 4);
    assert_eq!(parcels.stand.lines("message.dropped").await.len(), 1);
    let parcels = Parcels::paid_with(with_templates).await;
    parcels.mini.says(SEND, &[""]);
    parcels.stand.work().await;
    parcels.stand.pass(200).await;
    assert_eq!(parcels.mini.heard(SEND).len(), 1, "it may have been heard");
    assert_eq!(parcels.stand.status().await, OrderStatus::Paid);
}

#[tokio::test]
async fn without_a_template_nothing_is_planned_and_an_empty_slot_is_not_sent() {
    let parcels = Parcels::paid().await;
    let read = parcels.stand.shop.store.read(|view| {
        let kinds = [due::WorkKind::Message];
        let far = Timestamp::from_unix(i64::MAX);
        due::due_now(view, &kinds, far, 9).map_err(ShopError::from)
    });
    assert_eq!(read.await.unwrap(), []);
    let parcels = Parcels::paid_with(|settings| {
        settings.messages.paid = template("PAID", &["thing1=remark"]);
    })
    .await;
    parcels.stand.work().await;
    assert!(parcels.mini.heard(SEND).is_empty());
    assert_eq!(parcels.stand.lines("message.dropped").await.len(), 1);
}

#[test]
fn a_field_is_a_slot_and_a_source() {
    for text in [
        "thing1=title",
        " thing1 = title ",
        "phrase2=text:已付款",
        "amount3=total",
    ] {
        assert!(text.parse::<Field>().is_ok(), "{text}");
    }
    for text in [
        "",
        "thing1",
        "thing1=",
        "=title",
        "thing1=name",
        "x1=title",
        "thing1=text: ",
    ] {
        assert_eq!(text.parse::<Field>(), Err(BadField), "{text}");
    }
}
