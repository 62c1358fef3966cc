//! Comparing a day's bill, by route and by command: what is asked wrongly, and what is not there.

use serde_json::json;

use crate::world::World;

#[test]
fn only_a_day_that_is_over_is_compared_and_a_row_that_is_not_there_is_not_found() {
    let world = World::start();
    let merchant = world.merchant().caller;
    let days = merchant.get("/admin/v1/reconciliations").expect(200);
    assert_eq!(days, json!({"reconciliations": [], "next_cursor": null}));
    for date in ["9999-01-01", "2026-02-30", "2026-1-1", ""] {
        let reply = merchant.call("POST", "/admin/v1/reconciliations", &json!({"date": date}));
        reply.refuses(400, "INVALID_REQUEST");
    }
    let row = "/admin/v1/reconciliations/2026-01-01/rows/20260101ABCDEF";
    merchant
        .call("POST", row, &json!({"do": "seen"}))
        .refuses(404, "NOT_FOUND");
    merchant
        .call("POST", row, &json!({"do": "forget"}))
        .refuses(400, "INVALID_REQUEST");
}

#[test]
fn the_command_refuses_a_wrong_day_with_two_and_a_day_to_come_with_one_running_or_stopped() {
    let mut world = World::start();
    for stopped in [false, true] {
        if stopped {
            world.stop();
        }
        for (date, code) in [("2026-1-1", 2), ("yesterday", 2), ("9999-01-01", 1)] {
            let said = world.command(&["reconcile", "--date", date]);
            assert_eq!(said.code, Some(code), "{date}: {}", said.err);
        }
    }
}
