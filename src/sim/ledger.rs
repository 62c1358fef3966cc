//! What the people of one history know, and what they were promised.

use std::collections::BTreeMap;

use super::random::Random;
use crate::web::Outgoing;

/// How many notifies are remembered.
const NOTICES: usize = 12;

/// A buyer and their phone.
#[derive(Clone, Debug)]
pub(super) struct Buyer {
    pub(super) openid: String,
    pub(super) token: Option<String>,
}

/// An order that somebody has heard of.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) order_no: String,
    pub(super) buyer: usize,
    /// What `pay` gave for it, oldest first.
    pub(super) prepay_ids: Vec<String>,
}

/// What the shop said, and must still be so after anything that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// This buyer is this user.
    User { openid: String, uid: u64 },
    /// The order is there and costs this much.
    Placed { order_no: String, total_fen: u64 },
    /// The order came at least this far.
    Reached { order_no: String, status: String },
    /// This payment is known: WeChat was told so.
    Counted { out_trade_no: String },
    /// An attempt to pay was opened.
    Opened { order_no: String },
    /// The refund is there, for this much.
    Refunding {
        order_no: String,
        refund_no: String,
        amount_fen: u64,
    },
}

/// A difference in a bill that must be found.
#[derive(Clone, Debug)]
pub(super) struct Planted {
    /// `YYYY-MM-DD`.
    pub(super) date: String,
    pub(super) kind: &'static str,
    pub(super) out_trade_no: String,
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    pub(super) buyers: Vec<Buyer>,
    pub(super) orders: Vec<Known>,
    pub(super) promises: Vec<Promise>,
    /// The refunds that the merchant was told of, by order.
    pub(super) refunds: Vec<(String, String)>,
    /// What was in stock at first, by goods id.
    pub(super) stock: BTreeMap<u64, u64>,
    /// The merchant's API key.
    pub(super) api_key: String,
    /// The idempotency keys used so far.
    pub(super) keys: Vec<String>,
    /// The order that each of them placed.
    pub(super) placed_by: BTreeMap<String, String>,
    /// The status of each order when it was last looked at.
    pub(super) seen: BTreeMap<String, String>,
    /// The newest payment notifies on their way, oldest first.
    pub(super) notices: Vec<Outgoing>,
    /// What was planted in bills.
    pub(super) planted: Vec<Planted>,
}

impl Ledger {
    /// One of the orders known, newer ones more often.
    pub(super) fn any_order(&self, random: &mut Random) -> Option<Known> {
        if self.orders.is_empty() {
            return None;
        }
        let (a, b) = (
            random.place(self.orders.len()),
            random.place(self.orders.len()),
        );
        self.orders.get(a.max(b)).cloned()
    }

    /// One of the prepay_ids known, newer ones more often.
    pub(super) fn any_prepay(&self, random: &mut Random) -> Option<String> {
        // Orders with several attempts are where money can come twice.
        let several = |order: &&Known| order.prepay_ids.len() > 1;
        let least = usize::from(random.percent(50) && self.orders.iter().any(|o| several(&o)));
        let orders = self.orders.iter();
        let orders = orders.filter(|order| order.prepay_ids.len() > least);
        let known: Vec<_> = orders.flat_map(|order| &order.prepay_ids).collect();
        if known.is_empty() {
            return None;
        }
        let (a, b) = (random.place(known.len()), random.place(known.len()));
        Some(known[a.max(b)].clone())
    }

    /// What an order cost when it was placed.
    pub(super) fn total_of(&self, order_no: &str) -> u64 {
        let placed = |promise: &Promise| match promise {
            Promise::Placed {
                order_no: other,
                total_fen,
            } if other == order_no => Some(*total_fen),
            _ => None,
        };
        self.promises.iter().find_map(placed).unwrap_or(1)
    }

    pub(super) fn know(&mut self, order_no: &str, buyer: usize) {
        if self.orders.iter().all(|known| known.order_no != order_no) {
            self.orders.push(Known {
                order_no: order_no.to_owned(),
                buyer,
                prepay_ids: vec![],
            });
        }
    }

    pub(super) fn know_prepay(&mut self, order_no: &str, prepay_id: &str) {
        let order = self
            .orders
            .iter_mut()
            .find(|known| known.order_no == order_no);
        let Some(order) = order else {
            return;
        };
        if order.prepay_ids.last().is_none_or(|last| last != prepay_id) {
            order.prepay_ids.push(prepay_id.to_owned());
        }
    }

    /// Remembers a notify on its way, and forgets older ones.
    pub(super) fn overhear(&mut self, notice: Outgoing) {
        if self.notices.len() == NOTICES {
            self.notices.remove(0);
        }
        self.notices.push(notice);
    }

    pub(super) fn promise(&mut self, promise: Promise) {
        if !self.promises.contains(&promise) {
            self.promises.push(promise);
        }
    }
}
