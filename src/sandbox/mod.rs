//! Floor 4: WeChat's side of the contract: a simulator that judges as strictly.
//!
//! It never imports `wechat`: it builds and checks every signing string on its own, from WeChat's
//! documents, so that player and referee cannot be wrong together. Here is its state and the table
//! of its routes; `gateway`
//! answers on WeChat's own paths, `control` on ours.

mod bill_calls;
mod bill_print;
mod bills;
mod calls_v2;
mod calls_v3;
mod certificates;
mod clock;
mod codes;
mod control;
mod control_refunds;
mod credentials;
mod delivery;
mod faults;
mod gate_v2;
mod gate_v3;
mod gateway;
mod login;
mod mini;
mod notify;
mod order_v2;
mod order_v3;
mod pay_params;
mod pay_routes;
mod phone;
mod refund_notify;
mod refunds;
mod refunds_v2;
mod refunds_v3;
mod rules;
mod running;
mod shape_v3;
mod shelf;
mod sign_v2;
mod sign_v3;
mod suspects;
mod talk_v2;
mod talk_v3;
mod trades;
mod verdicts;

#[cfg(test)]
mod alive_test;
#[cfg(test)]
mod bills_tests;
#[cfg(test)]
mod calls_table;
#[cfg(test)]
mod certificates_alive;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod login_table;
#[cfg(test)]
mod order_v2_table;
#[cfg(test)]
mod order_v3_call_table;
#[cfg(test)]
mod order_v3_table;
#[cfg(test)]
mod pay_form_table;
#[cfg(test)]
mod pay_params_table;
#[cfg(test)]
mod refunds_alive;
#[cfg(test)]
mod refunds_tests;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod trades_table;
#[cfg(test)]
mod vectors;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::base::rsa::BadKey;
use crate::base::{Clock, Timestamp};
use crate::web::{Client, Method, Route, route};

pub use certificates::VerifyMode;
pub use credentials::{Credentials, CredentialsError};
pub use running::{Running, StartError, start};

use bills::Bills;
use certificates::{Certificates, Change};
use clock::Followers;
use credentials::Keys;
use delivery::Due;
use faults::Pending;
use login::Logins;
use mini::Mini;
use refunds::Refunds;
use trades::Trades;
use verdicts::Verdicts;

/// The simulator: one mini program, one merchant, and everything they did, in memory.
pub struct Sandbox {
    clock: Clock,
    credentials: Credentials,
    keys: Keys,
    client: Client,
    /// Where it listens, once it does.
    url: OnceLock<String>,
    stopping: watch::Sender<bool>,
    followers: Followers,
    book: Mutex<Book>,
}

/// What changes. Its lock is held for moments only, never while a signature is computed.
struct Book {
    logins: Logins,
    mini: Mini,
    /// Where the phone's shop is.
    shop: String,
    trades: Trades,
    refunds: Refunds,
    certificates: Certificates,
    bills: Bills,
    due: Due,
    faults: Pending,
    verdicts: Verdicts,
}

impl Sandbox {
    fn new(clock: Clock, credentials: Credentials, client: Client) -> Result<Self, BadKey> {
        Ok(Self {
            keys: credentials.keys()?,
            book: Mutex::new(Book {
                logins: Logins::new(&credentials.appid),
                mini: Mini::new(),
                shop: "http://127.0.0.1:8080".to_owned(),
                trades: Trades::new(),
                refunds: Refunds::new(),
                certificates: Certificates::default(),
                bills: Bills::new(),
                due: Due::default(),
                faults: Pending::default(),
                verdicts: Verdicts::default(),
            }),
            clock,
            credentials,
            client,
            url: OnceLock::new(),
            stopping: watch::Sender::new(false),
            followers: Followers::default(),
        })
    }

    /// A simulator without a server, which a simulation calls and ticks.
    #[cfg(test)]
    pub(crate) fn in_process(clock: Clock, credentials: Credentials, client: Client) -> Self {
        let sandbox = Self::new(clock, credentials, client).expect("keys it made itself");
        sandbox.url.get_or_init(|| "http://127.0.0.1:1".to_owned());
        sandbox
    }

    /// Sends what is due.
    #[cfg(test)]
    pub(crate) async fn do_due(self: &std::sync::Arc<Self>) {
        self.tick().await;
    }

    /// The `[wechat]` TOML section with which a server talks to this simulator.
    pub fn config_toml(&self) -> String {
        let url = self.url.get().map_or("", String::as_str);
        let config = self.credentials.config_toml(url);
        match self.book().certificates.mode {
            VerifyMode::PublicKey => config,
            mode => config + &format!("verify_with = \"{mode}\"\n"),
        }
    }

    /// Chooses what the merchant verifies WeChat with; at first it is the public key.
    pub fn verify_with(&self, mode: VerifyMode) {
        self.change_certificates(&Change::to(mode), self.now());
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A poisoned book still holds whole entries: each change is one assignment.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sandbox({})", self.credentials.appid)
    }
}

/// The simulator's routes: WeChat's own paths, then the control routes of CONTRACT §6.
pub fn routes() -> Vec<Route<Sandbox>> {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let mut table = vec![
        route(get.clone(), "/sns/jscode2session", gateway::login),
        route(post.clone(), "/pay/unifiedorder", gate_v2::unified_order),
        route(get.clone(), "/pay/unifiedorder", gate_v2::unified_order),
        route(post.clone(), "/pay/orderquery", gate_v2::query),
        route(post.clone(), "/pay/closeorder", gate_v2::close),
        route(post.clone(), "/v3/pay/transactions/jsapi", gate_v3::prepay),
        route(
            get.clone(),
            "/v3/pay/transactions/out-trade-no/{out_trade_no}",
            gate_v3::query,
        ),
        route(
            get.clone(),
            "/v3/pay/transactions/id/{transaction_id}",
            gate_v3::query_by_id,
        ),
        route(
            post.clone(),
            "/v3/pay/transactions/out-trade-no/{out_trade_no}/close",
            gate_v3::close,
        ),
        route(
            post.clone(),
            "/sandbox/login-codes",
            control::new_login_code,
        ),
        route(post.clone(), "/sandbox/payments", control::pay),
        route(
            post.clone(),
            "/sandbox/notifies/{out_trade_no}/resend",
            control::resend,
        ),
        route(
            post,
            "/sandbox/verify-pay-params",
            control::verify_pay_params,
        ),
        route(get.clone(), "/sandbox/trades", control::trades),
        route(get.clone(), "/sandbox/requests", control::requests),
        route(put.clone(), "/sandbox/faults", control::set_faults),
        route(get.clone(), "/sandbox/config", control::config),
        route(get, "/sandbox/clock", clock::read),
        route(put, "/sandbox/clock", clock::advance),
    ];
    table.extend(pay_routes::routes());
    table.extend(mini::routes());
    table.extend(phone::routes());
    table
}
