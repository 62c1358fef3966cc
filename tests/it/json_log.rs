//! `[log] format = "json"`: every line of a purchase is one object with the promised names.

use serde_json::Value;

use crate::world::World;

#[test]
fn every_line_of_a_purchase_is_one_object_and_a_request_is_told_with_its_fields() {
    let mut world = World::with(|setup| setup.more = vec![("log.format", "json".into())]);
    let tea = world.merchant().sells("茶\"\\", 128, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    let seen = buyer.caller.get(&format!("/api/v1/orders/{order_no}"));
    let stray = world.anyone().send("GET", "/no/%22such?token=x", &[], b"");
    world.stop();

    let log = world.log();
    let lines = log.lines().filter(|line| !line.starts_with("listening on"));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for line in &lines {
        for name in ["at", "level", "target", "message"] {
            assert!(line[name].is_string(), "{name} is missing: {line}");
        }
        let at = line["at"].as_str().unwrap();
        assert!(at.len() == 29 && at.ends_with("+08:00"), "{at}");
    }
    let request = |id: &str| {
        let mut found = lines.iter().filter(|line| line["request_id"] == id);
        found.find(|line| line["target"] == "access").unwrap()
    };
    let told = request(seen.message.header("x-request-id").unwrap());
    assert_eq!(told["method"], "GET");
    assert_eq!(told["route"], "/api/v1/orders/{order_no}");
    assert_eq!(told["path"], format!("/api/v1/orders/{order_no}"));
    assert_eq!(told["status"], 200);
    for name in ["ms", "elapsed_us", "bytes"] {
        assert!(told[name].is_u64(), "{name} is no number: {told}");
    }
    assert_eq!(told["client_addr"], "127.0.0.1");
    let stray = request(stray.unwrap().message.header("x-request-id").unwrap());
    assert_eq!(
        (&stray["route"], &stray["status"]),
        (&"none".into(), &404.into())
    );
    assert_eq!(stray["path"], "/no/%22such");
}
