//! WeChat's bills: what is wrong in them and with them, and what the shop must make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::ask::Ask;
use super::ledger::Planted;
use super::survey::text;
use super::world::{World, checked};
use crate::base::{Day, trial};
use crate::web::Method;

/// How a bill is not to be had, or not to be used.
const FAULTS: &[&str] = &["normal", "bad_hash", "cut", "http_500"];
/// Where the differences of each kind are listed.
const LISTS: &[(&str, &str)] = &[
    ("missing", "missing_wechat"),
    ("amount", "amount_differs"),
    ("extra", "missing_local"),
];

impl World {
    /// Plants differences in the bills to come, of payments that the shop knows, and a fault.
    pub(super) async fn spoil_bills(self: &Arc<Self>) {
        let listed = self.at_wechat(Method::GET, "/sandbox/trades", &Value::Null);
        let listed = listed.await.body["trades"].take();
        // Around midnight another day's bill may have it.
        let is_known = |trade: &&Value| {
            let hour = text(trade, "success_at").get(11..13).unwrap_or("23");
            !trade["accepted_at"].is_null() && hour != "23" && hour != "00"
        };
        let known: Vec<&Value> = listed.as_array().into_iter().flatten().collect();
        let known: Vec<&Value> = known.into_iter().filter(is_known).collect();
        let mut days: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (n, trade) in known.iter().take(3).enumerate() {
            let date = text(trade, "success_at")[..10].to_owned();
            let (kind, out_trade_no) = match n {
                0 => ("missing", text(trade, "out_trade_no").to_owned()),
                1 => ("amount", text(trade, "out_trade_no").to_owned()),
                _ => ("extra", format!("ELSEWHERE{n:04}")),
            };
            let fen = trade["total_fen"].as_u64().unwrap_or(0) + 1;
            trial::met(format!("fault bill planted {kind}"));
            self.note(format!("the bill of {date}: {kind} {out_trade_no}"));
            let plant = json!({ "kind": kind, "out_trade_no": out_trade_no, "fen": fen });
            days.entry(date.clone()).or_default().push(plant);
            self.ledger().planted.push(Planted {
                date,
                kind,
                out_trade_no,
            });
        }
        for (date, plant) in days {
            let planted = json!({ "date": date, "plant": plant });
            self.at_wechat(Method::PUT, "/sandbox/bills", &planted)
                .await;
        }
        let (fault, path) = {
            let mut random = self.random();
            (*random.pick(FAULTS), *random.pick(&["bill", "bill_file"]))
        };
        trial::met(format!("fault bill {fault}"));
        self.note(format!("fault {path} {fault}"));
        let faults = json!({ "upstream": fault, "path": path, "times": 2 });
        self.at_wechat(Method::PUT, "/sandbox/faults", &faults)
            .await;
    }

    /// The merchant wants yesterday compared, whether its bill is there or not.
    pub(super) async fn reconcile(self: &Arc<Self>) {
        let day = Day::of(self.clock.now()).before(1);
        let ask = Ask::post("/admin/v1/reconciliations").with(json!({ "date": day.to_string() }));
        let what = format!("reconciles {day}");
        let answer = self.as_merchant(&what, ask).await;
        if answer.is_some_and(|answer| answer.text("status") == "waiting") {
            trial::met("fault bill not ready");
        }
    }

    /// Every day with trades was compared with its bill, and lists what was planted in it.
    pub(super) async fn judge_bills(self: &Arc<Self>, trades: &[Value]) {
        let key = self.ledger().api_key.clone();
        let ask = Ask::get("/admin/v1/reconciliations?limit=100").by(&key);
        let days = match self.look(&ask).await {
            Ok(mut answer) => answer.body["reconciliations"].take(),
            Err(why) => return self.broke(format!("reconciliations: {why}")),
        };
        let days = days.as_array().cloned().unwrap_or_default();
        let of = |date: &str| days.iter().find(|day| text(day, "date") == date);
        let dates: BTreeSet<&str> = trades
            .iter()
            .filter_map(|trade| text(trade, "success_at").get(..10))
            .collect();
        for date in dates {
            checked("every day with trades is reconciled");
            if of(date).is_none_or(|day| text(day, "status") != "done") {
                self.broke(format!("{date} is not reconciled: {:?}", of(date)));
            }
        }
        for planted in self.ledger().planted.clone() {
            checked("what a bill differs in is listed");
            let list = LISTS.iter().find(|(kind, _)| *kind == planted.kind);
            let rows = list.and_then(|(_, list)| of(&planted.date)?[*list].as_array());
            let has = |row: &Value| text(row, "out_trade_no") == planted.out_trade_no;
            if !rows.is_some_and(|rows| rows.iter().any(has)) {
                self.broke(format!("{planted:?} is not listed"));
            }
        }
        for row in days
            .iter()
            .filter_map(|day| day["missing_local"].as_array())
            .flatten()
            .filter(|row| row["settled"]["do"] == "healed")
        {
            trial::met(format!("healed by a bill {}", text(row, "kind")));
        }
    }
}
