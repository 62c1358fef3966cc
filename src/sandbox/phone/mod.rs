//! `/sandbox/phone`: a page that plays the buyer's phone, and the way from it to the shop.
//!
//! The page talks to the simulator only; what it asks the shop goes through `POST /sandbox/shop`,
//! which reaches one shop on this machine and its buyer's routes, nothing else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Sandbox;
use crate::base::hash;
use crate::web::header::HeaderName;
use crate::web::{
    self, Anyone, HttpError, Method, Outcome, Outgoing, Req, Route, StatusCode, route,
};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How long the shop may take: longer than it gives WeChat.
const DEADLINE: Duration = Duration::from_secs(30);
const ANSWER_BYTES: usize = 1 << 20;

pub(super) fn routes() -> Vec<Route<Sandbox>> {
    vec![
        route(Method::GET, "/sandbox/phone", page),
        route(Method::GET, "/sandbox/shop", shop),
        route(Method::PUT, "/sandbox/shop", set_shop),
        route(Method::POST, "/sandbox/shop", pass),
    ]
}

/// `GET /sandbox/phone`
async fn page(_: Arc<Sandbox>, _: Anyone, _: Req) -> Outcome {
    let page = PAGE
        .replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT);
    let answer = web::text(
        StatusCode::OK,
        "text/html; charset=utf-8",
        page.into_bytes(),
    );
    let policy = HeaderName::from_static("content-security-policy");
    Ok(web::no_store(web::with_header(answer, policy, &allowed())))
}

/// Nothing but what stands in the page itself, and the simulator.
fn allowed() -> String {
    let sum = |text: &str| BASE64.encode(&hash::sha256(text.as_bytes()));
    format!(
        "default-src 'none'; connect-src 'self'; script-src 'sha256-{}'; style-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sum(SCRIPT),
        sum(STYLE)
    )
}

/// `GET /sandbox/shop`: where the phone's shop is.
async fn shop(sandbox: Arc<Sandbox>, _: Anyone, _: Req) -> Outcome {
    Ok(web::json(StatusCode::OK, &json!({"url": sandbox.shop()})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShopAt {
    url: String,
}

/// `PUT /sandbox/shop`
async fn set_shop(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let ShopAt { url } = req.json().await?;
    sandbox.set_shop(&url)?;
    Ok(web::json(StatusCode::OK, &json!({"url": sandbox.shop()})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Passed {
    method: String,
    path: String,
    token: Option<String>,
    #[serde(default)]
    body: Value,
}

/// `POST /sandbox/shop`: one request to the shop, as the buyer's phone would make it.
async fn pass(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let asked: Passed = req.json().await?;
    let outgoing = asked.to_the_shop(&sandbox.shop())?;
    let answer = sandbox.client.send(outgoing, DEADLINE, ANSWER_BYTES).await;
    let answer = answer.map_err(|why| {
        HttpError::new(
            StatusCode::BAD_GATEWAY,
            "SHOP_UNREACHABLE",
            format!("商店没有回答 (the shop did not answer): {why}"),
        )
    })?;
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let told = json!({"status": answer.status, "body": body});
    Ok(web::no_store(web::json(StatusCode::OK, &told)))
}

impl Passed {
    fn to_the_shop(&self, shop: &str) -> Result<Outgoing, HttpError> {
        let method = [Method::GET, Method::POST, Method::PUT, Method::PATCH];
        let method = method
            .into_iter()
            .find(|known| known.as_str() == self.method);
        let method =
            method.ok_or_else(|| HttpError::invalid("method 不在其列 (no such method)"))?;
        let plain = self.path.bytes().all(|b| b.is_ascii_graphic());
        if !self.path.starts_with("/api/v1/") || !plain || self.path.contains("..") {
            return Err(HttpError::invalid(
                "path 应以 /api/v1/ 开头 (only the buyer's routes)",
            ));
        }
        let mut headers = vec![];
        if let Some(token) = &self.token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        let body = match &self.body {
            Value::Null => vec![],
            body => {
                headers.push(("content-type", "application/json".to_owned()));
                body.to_string().into_bytes()
            }
        };
        Ok(Outgoing {
            method,
            url: format!("{shop}{}", self.path),
            headers,
            body,
        })
    }
}

impl Sandbox {
    fn shop(&self) -> String {
        self.book().shop.clone()
    }

    /// Sets where the phone's shop is: on this machine.
    ///
    /// # Errors
    /// `400 INVALID_REQUEST` when `url` is not `http://` and a loopback host.
    pub fn set_shop(&self, url: &str) -> Result<(), HttpError> {
        if !is_loopback(url) {
            return Err(HttpError::invalid(
                "商店应为本机地址，如 http://127.0.0.1:8080 (the shop must be on this machine)",
            ));
        }
        url.trim_end_matches('/').clone_into(&mut self.book().shop);
        Ok(())
    }
}

/// `http://`, a loopback host, a port or none, nothing more.
fn is_loopback(url: &str) -> bool {
    let Some(authority) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = authority.trim_end_matches('/');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port),
        Some(_) | None => (authority, "80"),
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let near = address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    (near || host == "localhost") && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_shop_on_this_machine_is_a_shop() {
        for url in [
            "http://127.0.0.1:8080",
            "http://localhost/",
            "http://[::1]:80",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "",
            "https://127.0.0.1",
            "http://192.168.1.2:8080",
            "http://127.0.0.1@example.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1:80/x",
            "http://127.0.0.1:x",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn only_the_buyers_routes_are_reached() {
        let to = |method: &str, path: &str| {
            let asked = Passed {
                method: method.to_owned(),
                path: path.to_owned(),
                token: None,
                body: Value::Null,
            };
            asked
                .to_the_shop("http://127.0.0.1:8080")
                .map(|out| out.url)
        };
        let url = "http://127.0.0.1:8080/api/v1/goods".to_owned();
        assert_eq!(to("GET", "/api/v1/goods"), Ok(url));
        for (method, path) in [
            ("GET", "/admin/v1/orders"),
            ("GET", "/api/v1/../../admin/v1/orders"),
            ("GET", "@example.com/api/v1/"),
            ("GET", "/api/v1/a b"),
            ("TRACE", "/api/v1/goods"),
        ] {
            assert!(to(method, path).is_err(), "{method} {path}");
        }
    }

    #[test]
    fn the_page_holds_its_style_and_script_and_names_no_other_place() {
        assert!(PAGE.contains("<style>/*STYLE*/</style>"));
        assert!(PAGE.contains("<script>/*SCRIPT*/</script>"));
        for text in [PAGE, STYLE, SCRIPT] {
            assert!(!text.contains("http"), "an outside address");
            assert!(!text.contains("innerHTML"), "text becomes markup");
        }
    }
}
