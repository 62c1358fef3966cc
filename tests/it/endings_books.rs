//! The books of one sale: whether every fen and every piece is where it belongs, in the eyes of
//! the buyer, the merchant, WeChat and the next day's bill; and how it is told in one row.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zhanggui::base::Timestamp;

use crate::endings_till::{STOCK, Till, at};
use crate::wait;

/// One row of the table of endings, measured.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) ending: &'static str,
    pub(crate) version: &'static str,
    noticed: String,
    buyer: String,
    merchant: String,
    wechat: String,
    bill: String,
}

impl Row {
    pub(crate) const HEAD: &'static str = "| ending | API | who noticed, seconds after | \
        buyer sees | merchant sees | WeChat has | next day's bill |\n|---|---|---|---|---|---|---|";

    pub(crate) fn markdown(&self) -> String {
        let Self {
            ending,
            version,
            noticed,
            buyer,
            merchant,
            wechat,
            bill,
        } = self;
        format!("| {ending} | {version} | {noticed} | {buyer} | {merchant} | {wechat} | {bill} |")
    }
}

fn rows<'v>(of: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    of[name].as_array().expect("a list").iter()
}

fn fen(of: &Value, name: &str) -> u64 {
    of[name].as_u64().expect("an amount")
}

fn text<'v>(of: &'v Value, name: &str) -> &'v str {
    of[name].as_str().unwrap_or("")
}

fn is_paid_there(trade: &&Value) -> bool {
    !trade["transaction_id"].is_null()
}

impl Till {
    /// Asserts that money, refunds and stock add up as they stand now; `listed_fen` is on no
    /// order, but listed for the merchant.
    #[track_caller]
    pub(crate) fn balances(&self, listed_fen: u64) {
        let (order, seen) = (self.order(), self.seen());
        let trades = self.trades();
        let kept = match text(&order, "status") {
            "paid" | "shipped" | "completed" | "refunded" => fen(&order, "total_fen"),
            _ => 0,
        };
        let owed = rows(&order, "refunds").filter(|refund| {
            refund["status"] != "closed" && matches!(text(refund, "kind"), "surplus" | "late")
        });
        let owed: u64 = owed.map(|refund| fen(refund, "amount_fen")).sum();
        let paid = trades.iter().filter(is_paid_there);
        let taken: u64 = paid.map(|trade| fen(trade, "total_fen")).sum();
        assert_eq!(
            taken,
            kept + owed + listed_fen,
            "taken by WeChat; kept {kept}, going back {owed}, listed {listed_fen}: {order:#}"
        );
        let gone = rows(&order, "refunds")
            .filter(|refund| refund["status"] == "success" && refund["kind"] != "surplus");
        let gone: u64 = gone.map(|refund| fen(refund, "amount_fen")).sum();
        assert_eq!(fen(&order, "refunded_fen"), gone, "{order:#}");
        for name in ["status", "refunded_fen", "paid_at", "closed_at", "refunds"] {
            assert_eq!(seen[name], order[name], "buyer and merchant differ: {name}");
        }
        self.refunds_agree(&order, &trades);
        self.stock_is_conserved();
    }

    /// No refund is there that is not here, none is made twice, none exceeds its payment.
    fn refunds_agree(&self, order: &Value, trades: &[Value]) {
        let there = self.refunds_there();
        let number = |refund: &Value, name: &str| text(refund, name).to_owned();
        let mut known = BTreeSet::new();
        for refund in rows(order, "refunds") {
            let fresh = known.insert((number(refund, "refund_no"), fen(refund, "amount_fen")));
            assert!(fresh, "a refund is here twice: {order:#}");
        }
        for refund in &there {
            let key = (number(refund, "out_refund_no"), fen(refund, "amount_fen"));
            assert!(known.contains(&key), "{refund} is not here: {order:#}");
        }
        for trade in trades {
            let of_it = there.iter().filter(|refund| {
                refund["out_trade_no"] == trade["out_trade_no"] && refund["status"] != "CLOSED"
            });
            let back: u64 = of_it.map(|refund| fen(refund, "amount_fen")).sum();
            assert!(back <= fen(trade, "total_fen"), "{there:#?}");
        }
    }

    fn stock_is_conserved(&self) {
        let orders = self.merchant().orders();
        let holding = orders
            .iter()
            .filter(|order| !matches!(text(order, "status"), "closed" | "refunded"));
        let held: u64 = holding
            .flat_map(|order| rows(order, "lines"))
            .map(|line| fen(line, "count"))
            .sum();
        let stock = self.merchant().stock(self.goods);
        assert_eq!(stock + held, STOCK, "stock {stock}, held {held}");
    }

    /// When the trade with this number, or the newest without one, was paid for.
    pub(crate) fn paid_at(&self, number: Option<&str>) -> Timestamp {
        let trades = self.trades();
        let mut paid = trades.iter().filter(is_paid_there);
        let trade = match number {
            Some(number) => paid.find(|trade| trade["out_trade_no"] == number),
            None => paid.next_back(),
        };
        at(&trade.expect("it is paid for")["success_at"])
    }

    /// Who told first of what a timeline entry of `kind` says, and how long after `since`.
    #[track_caller]
    pub(crate) fn noticed(&self, kind: &str, since: Timestamp) -> Noticed {
        let order = self.order();
        let events: Vec<&Value> = rows(&order, "events").collect();
        let is_it = |event: &&Value| event["kind"] == kind;
        let place = events.iter().position(is_it);
        let place = place.unwrap_or_else(|| panic!("no {kind}: {order:#}"));
        let told = events[..place]
            .iter()
            .rev()
            .map(|event| text(event, "kind"));
        let mut told = told.filter(|kind| {
            kind.starts_with("notify.") || kind.starts_with("wechat.") || *kind == "order.closing"
        });
        let who = match (told.next(), told.next()) {
            (Some("notify.paid" | "notify.refund"), _) => "notify",
            // v2 seals a refund notify but does not sign it: it is asked about.
            (Some("wechat.refund_query"), Some("notify.refund")) => "notify, confirmed",
            (Some("wechat.query" | "wechat.refund_query"), Some("order.closing")) => {
                "query before the close"
            }
            (Some("wechat.query" | "wechat.refund_query" | "wechat.refund"), _) => "query",
            (_, _) => "ourselves",
        };
        let moment = at(&events[place]["at"]);
        let after_s = moment.unix() - since.unix();
        Noticed { who, after_s }
    }

    /// Ends the day: the bill is fetched, the books are checked before and after it, and all
    /// that everyone sees becomes a row.
    #[track_caller]
    pub(crate) fn ends(&self, ending: &'static str, noticed: impl Into<String>) -> Row {
        self.balances(0);
        self.ends_with_the_bill(ending, noticed)
    }

    /// The same for what only the bill knows.
    #[track_caller]
    pub(crate) fn ends_with_the_bill(
        &self,
        ending: &'static str,
        noticed: impl Into<String>,
    ) -> Row {
        let (buyer, merchant) = (told_buyer(&self.seen()), told_merchant(&self.order()));
        let wechat = self.told_wechat();
        let bill = self.bill();
        Row {
            ending,
            version: self.version,
            noticed: noticed.into(),
            buyer,
            merchant,
            wechat,
            bill,
        }
    }

    fn told_wechat(&self) -> String {
        let trade = |trade: &Value| {
            let (state, total) = (text(trade, "trade_state"), fen(trade, "total_fen"));
            format!("{state} {total}")
        };
        let refund = |refund: &Value| {
            let (status, amount) = (text(refund, "status"), fen(refund, "amount_fen"));
            format!("refund {status} {amount}")
        };
        let trades = self.trades();
        let told = trades.iter().map(trade);
        let told: Vec<String> = told
            .chain(self.refunds_there().iter().map(refund))
            .collect();
        match told.is_empty() {
            true => "nothing".to_owned(),
            false => told.join(", "),
        }
    }

    /// Goes to the next morning and compares every day on which money moved.
    fn bill(&self) -> String {
        let days = self.days();
        let (now, day_s) = (self.now().unix() + 8 * 3600, 86_400);
        let morning = day_s - now.rem_euclid(day_s) + 10 * 3600 + 1800;
        self.world.wechat.advance(morning);
        let told: Vec<String> = days.iter().map(|day| self.compared(day)).collect();
        self.balances(0);
        match told.is_empty() {
            true => "nothing".to_owned(),
            false => told.join("; "),
        }
    }

    fn days(&self) -> BTreeSet<String> {
        let (trades, refunds) = (self.trades(), self.refunds_there());
        let all = trades.iter().chain(&refunds);
        let times = all.flat_map(|one| [&one["created_at"], &one["success_at"]]);
        let days = times.filter_map(|at| at.as_str()?.get(..10).map(str::to_owned));
        days.collect()
    }

    fn compared(&self, date: &str) -> String {
        let mut day = Value::Null;
        wait::until("the bill is compared", || {
            let asked = json!({ "date": date });
            let target = "/admin/v1/reconciliations";
            let reply = self.merchant().caller.call("POST", target, &asked);
            day = reply.json();
            assert!(matches!(reply.status, 201 | 202), "{day}");
            reply.status == 201
        });
        let mut told = vec![format!("{} matched", day["matched"])];
        for name in ["missing_local", "missing_wechat", "amount_differs"] {
            for row in rows(&day, name) {
                let settled = text(&row["settled"], "do");
                assert_eq!(settled, "healed", "{}: {name}: {day:#}", self.version);
                told.push(format!("{name} ({}), {settled}", text(row, "kind")));
            }
        }
        told.join(", ")
    }
}

/// Who found out, and after how many seconds of the one clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noticed {
    pub(crate) who: &'static str,
    pub(crate) after_s: i64,
}

impl Noticed {
    #[track_caller]
    pub(crate) fn within(self, most_s: i64) -> Self {
        assert!((0..=most_s).contains(&self.after_s), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn by(self, who: &str) -> Self {
        assert_eq!(self.who, who, "{self:?}");
        self
    }
}

impl From<Noticed> for String {
    fn from(noticed: Noticed) -> Self {
        format!("{}, {} s", noticed.who, noticed.after_s)
    }
}

fn told_buyer(seen: &Value) -> String {
    let refunds = rows(seen, "refunds").map(|refund| {
        let (kind, status) = (text(refund, "kind"), text(refund, "status"));
        format!("{kind} refund {} {status}", refund["amount_fen"])
    });
    let head = match fen(seen, "refunded_fen") {
        0 => text(seen, "status").to_owned(),
        back => format!("{}, {back} back", text(seen, "status")),
    };
    std::iter::once(head)
        .chain(refunds)
        .collect::<Vec<_>>()
        .join(", ")
}

fn told_merchant(order: &Value) -> String {
    let payments = rows(order, "payments").map(|payment| {
        let is_paid = !payment["transaction_id"].is_null();
        let word = match (is_paid, payment["counted"] == true) {
            (true, true) => "counted",
            (true, false) => "not counted",
            (false, _) => "unpaid",
        };
        format!("{} {word}", payment["amount_fen"])
    });
    let told: Vec<String> = payments.collect();
    match told.is_empty() {
        true => "no payment".to_owned(),
        false => told.join(", "),
    }
}
