//! The claim that an `Idempotency-Key` makes. CONTRACT, Conventions.

use crate::store::idempotency::{Claim, Usage};
use crate::web::{HttpError, Req, read_json};

/// The claim of `caller` (such as `uid 7`) on `route`, its method and pattern; equal JSON values
/// are equal bodies. None without the header.
pub(super) fn claim(
    req: &Req,
    caller: &str,
    route: &str,
    body: &[u8],
) -> Result<Option<Claim>, HttpError> {
    let Some(key) = req.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let rule = "请求头 Idempotency-Key 必须是 1 到 64 个可见 ASCII 字符";
    let legal =
        |key: &&str| (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    let key = key
        .to_str()
        .ok()
        .filter(legal)
        .ok_or_else(|| HttpError::invalid(rule))?;
    let usage = Usage { caller, route, key };
    Ok(Some(Claim::new(usage, &read_json(body)?)))
}
