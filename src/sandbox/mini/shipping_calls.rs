//! The calls of the shipping service, and what a test does to it.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::{Answered, called};
use super::errcodes::INVALID_APPID;
use super::orders::{self, ListAsked, OrderAsked, Paid};
use super::shipping::{Confirmed, require_time};
use super::upload::{BAD_PARAMETER, Form, OrderKey, filled};
use super::{Mini, express};
use crate::base::Timestamp;
use crate::sandbox::login::{Errcode, err};
use crate::sandbox::{Book, Sandbox};
use crate::web::{self, Anyone, HttpError, Outcome, Req, StatusCode};

/// A mini program that is not managed has no such interface.
const NOT_MANAGED: Errcode = err(48001, "api unauthorized");
/// `order_state` once everything is on its way.
const SHIPPED: u8 = 2;
const NOT_OF_PAYER: Errcode = err(10_060_031, "该笔支付单不属于 openid 所指定的用户");

/// `POST /wxa/sec/order/upload_shipping_info`
pub(super) async fn upload(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    called(&sandbox, req, Sandbox::upload_shipping).await
}

/// `POST /wxa/sec/order/get_order`
pub(super) async fn get_order(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, asked: OrderAsked, now| {
        let key = asked.key()?;
        let book = sandbox.book();
        let paid = sandbox.paid(&book, &key, now)?;
        let order = orders::view(&paid, &book.mini.shippings.of(&paid), &sandbox.credentials);
        Ok(json!({ "order": order }))
    };
    called(&sandbox, req, judge).await
}

/// `POST /wxa/sec/order/get_order_list`
pub(super) async fn get_order_list(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, asked: ListAsked, _| {
        let book = sandbox.book();
        let all = orders::paid(&book.trades, &book.refunds);
        let all = all.map(|paid| {
            let shipment = book.mini.shippings.of(&paid);
            (paid, shipment)
        });
        asked.page(all, &sandbox.credentials)
    };
    called(&sandbox, req, judge).await
}

/// `POST /wxa/sec/order/notify_confirm_receive`
pub(super) async fn remind(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, asked: OrderAsked, now| {
        let key = asked.key()?;
        let received_at = require_time(asked.received_time)?;
        let mut book = sandbox.book();
        let paid = sandbox.paid(&book, &key, now)?;
        let mut shipment = book.mini.shippings.of(&paid);
        shipment.remind(received_at, now)?;
        book.mini.shippings.keep(&paid, shipment);
        Ok(json!({}))
    };
    called(&sandbox, req, judge).await
}

#[derive(Deserialize)]
struct JumpPath {
    path: Option<String>,
}

/// `POST /wxa/sec/order/set_msg_jump_path`
pub(super) async fn set_jump_path(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, asked: JumpPath, _| {
        let path = filled(asked.path.as_deref()).ok_or(BAD_PARAMETER)?;
        sandbox.book().mini.shippings.settings.jump_path = Some(path);
        Ok(json!({}))
    };
    called(&sandbox, req, judge).await
}

/// `POST /cgi-bin/express/delivery/open_msg/get_delivery_list`
pub(super) async fn companies(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    called(&sandbox, req, |_, _: Value, _| Ok(express::list())).await
}

#[derive(Deserialize)]
struct AppAsked {
    appid: Option<String>,
}

/// `POST /wxa/sec/order/is_trade_managed`
pub(super) async fn is_managed(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, asked: AppAsked, _| {
        let managed = sandbox.settings_of(&asked)?.0;
        Ok(json!({ "is_trade_managed": managed }))
    };
    called(&sandbox, req, judge).await
}

/// `POST /wxa/sec/order/is_trade_management_confirmation_completed`
pub(super) async fn is_confirmed(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, asked: AppAsked, _| {
        let completed = sandbox.settings_of(&asked)?.1;
        Ok(json!({ "completed": completed }))
    };
    called(&sandbox, req, judge).await
}

impl Sandbox {
    fn settings_of(&self, asked: &AppAsked) -> Result<(bool, bool), Errcode> {
        if asked.appid.as_deref() != Some(self.credentials.appid.as_str()) {
            return Err(INVALID_APPID);
        }
        let settings = &self.book().mini.shippings.settings;
        Ok((settings.managed, settings.confirmed))
    }

    /// The payment that `key` names, as far as the service knows at `now`.
    pub(super) fn paid(
        &self,
        book: &Book,
        key: &OrderKey,
        now: Timestamp,
    ) -> Result<Paid, Errcode> {
        let settings = &book.mini.shippings.settings;
        orders::find(
            (&book.trades, &book.refunds),
            (&self.credentials, settings),
            key,
            now,
        )
    }

    fn upload_shipping(&self, form: Form, now: Timestamp) -> Answered {
        let mut book = self.book();
        if !book.mini.shippings.settings.managed {
            return Err(NOT_MANAGED);
        }
        let upload = form.read()?;
        let paid = self.paid(&book, &upload.key, now)?;
        if upload.openid != paid.openid {
            return Err(NOT_OF_PAYER);
        }
        let mut shipment = book.mini.shippings.of(&paid);
        shipment.upload(upload, paid.money, now)?;
        if shipment.state(paid.money) == SHIPPED {
            let event = paid.settlement_event(&shipment, &self.credentials);
            book.mini.pushes.announce(event);
        }
        book.mini.shippings.keep(&paid, shipment);
        Ok(json!({}))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    transaction_id: Option<String>,
    out_trade_no: Option<String>,
}

/// `POST /sandbox/receipts`: the buyer confirms receipt in WeChat.
pub(super) async fn receive(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let asked: Receipt = req.json().await?;
    let mchid = sandbox.credentials.mchid.to_string();
    let key = match (asked.transaction_id, asked.out_trade_no) {
        (Some(id), None) => OrderKey::Transaction(id),
        (None, Some(out_trade_no)) => OrderKey::Merchant {
            mchid,
            out_trade_no,
        },
        (_, _) => {
            return Err(HttpError::invalid(
                "transaction_id、out_trade_no 二选一 (give one of the two)",
            ));
        }
    };
    let paid = sandbox.paid(&sandbox.book(), &key, at);
    let paid = paid.map_err(|why| refused(StatusCode::NOT_FOUND, why))?;
    let received = sandbox.confirm_receipt(&paid, Confirmed::ByBuyer, at);
    let state = received.map_err(|why| refused(StatusCode::CONFLICT, why))?;
    sandbox.send_pushes().await;
    let shown = json!({
        "transaction_id": paid.transaction_id,
        "order_state": state,
        "confirm_receive_method": Confirmed::ByBuyer.number(),
    });
    Ok(web::json(StatusCode::OK, &shown))
}

fn refused(status: StatusCode, why: Errcode) -> HttpError {
    HttpError::new(status, "RECEIPT_REFUSED", why.errmsg)
}

impl Sandbox {
    /// Confirms what nobody confirmed in time.
    pub(in crate::sandbox) fn grant_receipts(&self) {
        let now = self.now();
        let granted = self.book().mini.shippings.granted(now);
        for id in granted {
            let paid = self.paid(&self.book(), &OrderKey::Transaction(id), now);
            if let Ok(paid) = paid {
                // Money that was given back meanwhile is confirmed by nobody.
                let _ = self.confirm_receipt(&paid, Confirmed::Automatically, now);
            }
        }
    }

    /// Receipt is confirmed, and the frozen money goes to the merchant at once.
    fn confirm_receipt(&self, paid: &Paid, how: Confirmed, now: Timestamp) -> Result<u8, Errcode> {
        let mut book = self.book();
        let mut shipment = book.mini.shippings.of(paid);
        shipment.receive(how, now)?;
        shipment.settled_at = Some(now);
        let state = shipment.state(paid.money);
        let event = paid.settlement_event(&shipment, &self.credentials);
        book.mini.pushes.announce(event);
        book.mini.shippings.keep(paid, shipment);
        Ok(state)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switches {
    is_trade_managed: Option<bool>,
    confirmation_completed: Option<bool>,
    /// Seconds after a payment during which the service answers 10060001.
    known_after_s: Option<u32>,
}

/// `PUT /sandbox/shipping`: switches of the service; what is left out stays.
pub(super) async fn switch(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let asked: Switches = req.json().await?;
    let mut book = sandbox.book();
    let settings = &mut book.mini.shippings.settings;
    settings.managed = asked.is_trade_managed.unwrap_or(settings.managed);
    settings.confirmed = asked.confirmation_completed.unwrap_or(settings.confirmed);
    if let Some(seconds) = asked.known_after_s {
        settings.known_after = Duration::from_secs(seconds.into());
    }
    Ok(web::json(StatusCode::OK, &shown(&book.mini)))
}

/// `GET /sandbox/shipping`
pub(super) async fn switches(sandbox: Arc<Sandbox>, _: Anyone, _: Req) -> Outcome {
    Ok(web::json(StatusCode::OK, &shown(&sandbox.book().mini)))
}

fn shown(mini: &Mini) -> Value {
    let settings = &mini.shippings.settings;
    json!({
        "is_trade_managed": settings.managed,
        "confirmation_completed": settings.confirmed,
        "known_after_s": settings.known_after.as_secs(),
        "msg_jump_path": settings.jump_path,
    })
}
