//! The console's session: log in, who am I, log out. CONTRACT, Console auth.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::callers::Console;
use super::cookies::{self, Cookie, GONE};
use crate::base::{Secret, Timestamp};
use crate::shop::Shop;
use crate::shop::console::{ConsoleLogin, ConsoleToken};
use crate::store::console::ConsoleSession;
use crate::web::{Anyone, HttpError, Outcome, Req, StatusCode, empty, header, json, no_store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogIn {
    username: String,
    password: String,
    totp: Option<String>,
}

#[derive(Serialize)]
struct SessionView<'a> {
    username: &'a str,
    csrf_token: &'a str,
    expires_in: u64,
}

fn shown(token: &ConsoleToken, session: &ConsoleSession, now: Timestamp) -> crate::web::Response {
    let csrf = token.csrf();
    let view = SessionView {
        username: &session.admin,
        csrf_token: csrf.reveal(),
        expires_in: session.expires_at.since(now).as_secs(),
    };
    no_store(json(StatusCode::OK, &view))
}

/// `POST /admin/v1/session`: a fresh session, whatever cookie came along.
pub(super) async fn log_in(shop: Arc<Shop>, _: Anyone, mut req: Req) -> Outcome {
    refuse_forms(&req)?;
    let body = req.body().await?;
    let LogIn {
        username,
        password,
        totp,
    } = crate::web::read_json(&body)?;
    let login = ConsoleLogin {
        username,
        password: Secret::new(password),
        totp,
        from: req.client_addr,
        brought: cookies::token(&shop, &req),
        at: req.at,
    };
    let new = shop.log_in_admin(login).await?;
    let cookie = Cookie {
        token: new.token.reveal(),
        age: new.session.expires_at.since(req.at),
    };
    let line = cookie.line(&shop, &req);
    let response = shown(&new.token, &new.session, req.at);
    Ok(cookies::set(response, &line))
}

/// `GET /admin/v1/session`
pub(super) async fn show(_: Arc<Shop>, console: Console, req: Req) -> Outcome {
    Ok(shown(&console.token, &console.session, req.at))
}

/// `DELETE /admin/v1/session`
pub(super) async fn log_out(shop: Arc<Shop>, console: Console, req: Req) -> Outcome {
    shop.log_out_admin(&console.token).await?;
    let line = GONE.line(&shop, &req);
    Ok(no_store(cookies::set(empty(StatusCode::NO_CONTENT), &line)))
}

/// A page of another site can post a form here and so log its visitor in as somebody else; a form
/// cannot say that it is JSON, and a browser says where a page is from.
fn refuse_forms(req: &Req) -> Result<(), HttpError> {
    let content_type = req.headers().get(header::CONTENT_TYPE);
    let kind = content_type.map(|value| value.to_str().unwrap_or("?"));
    let kind = kind.map(|value| value.split(';').next().unwrap_or("").trim());
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("application/json")) {
        let rule = "登录请求的 Content-Type 必须是 application/json";
        return Err(HttpError::invalid(rule));
    }
    let site = req.header("sec-fetch-site").unwrap_or("none");
    if !["same-origin", "none"].contains(&site) {
        let said = "不接受其他网站发起的登录";
        return Err(HttpError::new(StatusCode::FORBIDDEN, "CSRF_INVALID", said));
    }
    Ok(())
}
