//! The console's cookie: how it is set, taken back and read.
//!
//! Behind TLS its name begins with `__Host-`, so that only this host over TLS can set it, and only
//! that name is read: what another host or a plain connection planted is never looked at.
//!
//! Source: RFC 6265bis · 4.1.3.2 (cookie name prefixes), 5.6.

use std::time::Duration;

use crate::shop::Shop;
use crate::shop::console::ConsoleToken;
use crate::web::{Req, Response, header, with_header};

const PLAIN: &str = "zhanggui_session";
const SECURE: &str = "__Host-zhanggui_session";

/// Whether the browser of this request speaks TLS.
fn is_secure(shop: &Shop, req: &Req) -> bool {
    shop.is_behind_tls() || req.secure()
}

fn name(shop: &Shop, req: &Req) -> &'static str {
    if is_secure(shop, req) { SECURE } else { PLAIN }
}

/// The session's token in the request. A name given twice is nobody's: one of them was planted.
pub(super) fn token(shop: &Shop, req: &Req) -> Option<ConsoleToken> {
    let name = name(shop, req);
    let lines = req.headers().get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.to_str().unwrap_or("").split(';'));
    let mut values = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then(|| ConsoleToken::read(value))?
}

/// What the cookie is set to, and for how long; nothing takes it back.
pub(super) struct Cookie<'a> {
    pub(super) token: &'a str,
    pub(super) age: Duration,
}

/// The cookie that ends the session in the browser.
pub(super) const GONE: Cookie<'_> = Cookie {
    token: "",
    age: Duration::ZERO,
};

impl Cookie<'_> {
    /// The header's value, in answer to a request.
    pub(super) fn line(&self, shop: &Shop, req: &Req) -> String {
        let (name, token, age) = (name(shop, req), self.token, self.age.as_secs());
        let secure = if is_secure(shop, req) { "; Secure" } else { "" };
        format!("{name}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// `response` that sets this cookie.
pub(super) fn set(response: Response, line: &str) -> Response {
    with_header(response, header::SET_COOKIE, line)
}
