//! A stage for requests that must be refused: each is sent, its answer judged, and everything
//! compared with what it was before.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::people::Buyer;
use crate::probes::{Probe, Who};
use crate::world::World;

pub(crate) const INVALID: (u16, &str) = (400, "INVALID_REQUEST");
pub(crate) const AMOUNT: (u16, &str) = (422, "AMOUNT_INVALID");

/// The stage of all cases: one order of a first buyer, a second buyer, and what must not change.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) buyer: Buyer,
    pub(crate) stranger: Buyer,
    pub(crate) order_no: String,
    pub(crate) goods: u64,
    before: Value,
    faults: Vec<String>,
}

/// One request that must be refused.
pub(crate) struct Case<'a> {
    pub(crate) what: String,
    pub(crate) method: &'a str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let world = World::with(|setup| setup.more.push(("limits.max_body_kb", 64.into())));
        let goods = world.merchant().sells("茶", 100, 10);
        let (buyer, stranger) = (world.buyer(), world.buyer());
        let order_no = buyer.order(goods, 1);
        let before = Value::Null;
        let mut stage = Self {
            world,
            buyer,
            stranger,
            order_no,
            goods,
            before,
            faults: Vec::new(),
        };
        stage.before = stage.all();
        stage
    }

    /// The merchant's view of everything, and what the buyer keeps.
    fn all(&self) -> Value {
        let user = self.buyer.caller.get("/api/v1/user").expect(200);
        let address = self.buyer.caller.get("/api/v1/user/address").json();
        json!([self.world.everything(), user, address])
    }

    pub(crate) fn target(&self, pattern: &str) -> String {
        let filled = pattern.replace("{order_no}", &self.order_no);
        let filled = filled.replace("{out_trade_no}", &self.order_no);
        let filled = filled.replace("{date}", "2026-01-01");
        filled.replace("{id}", &self.goods.to_string())
    }

    pub(crate) fn bearer(&self, who: Who) -> Vec<(&'static str, String)> {
        let bearer = match who {
            Who::Anyone => return vec![],
            Who::Buyer => self.buyer.caller.bearer.clone(),
            Who::Merchant => self.world.merchant().caller.bearer,
        };
        vec![("authorization", bearer)]
    }

    /// A case of `probe` with a body.
    pub(crate) fn case<'a>(&self, probe: &Probe<'a>, what: &str, body: &[u8]) -> Case<'a> {
        Case {
            what: format!("{} {}: {what}", probe.method, probe.pattern),
            method: probe.method,
            target: self.target(probe.pattern),
            headers: self.bearer(probe.who),
            body: body.to_vec(),
        }
    }

    /// Sends a case; it must be answered by one of these, and change nothing.
    pub(crate) fn refused(&mut self, case: &Case<'_>, wanted: &[(u16, &str)]) -> Reply {
        let headers: Vec<(&str, &str)> = case
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut client = self.world.anyone();
        let reply = client
            .send(case.method, &case.target, &headers, &case.body)
            .unwrap();
        let (status, code) = (reply.status, reply.code());
        if !wanted.contains(&(status, code.as_str())) {
            let text = reply.text();
            self.faults.push(format!(
                "{}: wanted {wanted:?}, got {status} {text}",
                case.what
            ));
        }
        let after = self.all();
        if after != self.before {
            self.faults
                .push(format!("{}: something changed", case.what));
            self.before = after;
        }
        reply
    }

    pub(crate) fn end(self) {
        let count = self.faults.len();
        assert!(
            self.faults.is_empty(),
            "{count} faults:\n{}",
            self.faults.join("\n")
        );
    }
}
