//! The mini program's server interfaces as WeChat judges them.
//!
//! Each call proves its access token, then reads its JSON strictly, then is judged; every error is
//! HTTP 200 with an errcode. Payments are `trades`' business; here is what follows them.

mod access;
mod calls;
mod control;
mod errcodes;
mod phone;

#[cfg(test)]
mod access_table;
#[cfg(test)]
mod alive_test;

use super::Sandbox;
use crate::web::{Method, Route, route};

use access::AccessTokens;
use errcodes::Planned;
use phone::Phones;

/// What changes on the mini program's side, in the simulator's book.
pub(super) struct Mini {
    tokens: AccessTokens,
    phones: Phones,
    /// Errcodes that the next calls of a path are to answer.
    planned: Planned,
}

impl Mini {
    pub(super) fn new() -> Self {
        Self {
            tokens: AccessTokens::default(),
            phones: Phones::new(),
            planned: Planned::default(),
        }
    }
}

/// WeChat's paths of the mini program, and the control routes that belong to them.
pub(super) fn routes() -> Vec<Route<Sandbox>> {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    vec![
        route(get.clone(), "/cgi-bin/token", calls::token),
        route(post.clone(), "/cgi-bin/stable_token", calls::stable_token),
        route(
            post.clone(),
            "/wxa/business/getuserphonenumber",
            calls::phone_number,
        ),
        route(post, "/sandbox/phone-codes", control::new_phone_code),
        route(put, "/sandbox/errcodes", control::plan_errcode),
    ]
}
