//! How the demo tells what happens: numbered steps, who spoke to whom, what was said and answered.

use serde_json::Value;

use super::http::{Answer, Ask};
use crate::cli::term;
use crate::web::Client;

/// How many characters of a body are shown.
const SHOWN: usize = 240;

/// One telling of one purchase.
pub(super) struct Story {
    client: Client,
    step: usize,
}

/// Who speaks to whom, why, and the status that is right.
#[derive(Clone, Copy)]
pub(super) struct Scene(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) u16,
);

impl Story {
    pub(super) fn new(client: Client) -> Self {
        Self { client, step: 0 }
    }

    /// Plays one step and prints it; gives back the answer's body.
    ///
    /// # Errors
    /// What differs from what was expected, in Chinese.
    pub(super) async fn step(&mut self, scene: Scene, ask: Ask<'_>) -> Result<Value, String> {
        let Scene(who, why, wanted) = scene;
        self.step += 1;
        term::say(format!("\n{:2}. {who}  {why}", self.step));
        let body = ask
            .body
            .as_ref()
            .map_or(String::new(), |body| format!("  {}", shown(body)));
        term::say(format!("    → {} {}{body}", ask.method, ask.url));
        let Answer { status, body } = ask.send(&self.client).await?;
        term::say(format!("    ← {status}  {}", shown(&body)));
        if status == wanted {
            return Ok(body);
        }
        Err(format!(
            "第 {} 步「{why}」：应答 {wanted}，实际 {status} {body}",
            self.step
        ))
    }

    /// Looks without telling.
    ///
    /// # Errors
    /// What differs from an answer 200, in Chinese.
    pub(super) async fn look(&self, ask: Ask<'_>) -> Result<Value, String> {
        self.quietly(ask, 200).await
    }

    /// Asks without telling.
    ///
    /// # Errors
    /// What differs from an answer with the status `wanted`, in Chinese.
    pub(super) async fn quietly(&self, ask: Ask<'_>, wanted: u16) -> Result<Value, String> {
        let Answer { status, body } = ask.send(&self.client).await?;
        if status == wanted {
            return Ok(body);
        }
        Err(format!(
            "{} {}：应答 {wanted}，实际 {status} {body}",
            ask.method, ask.url
        ))
    }
}

/// A remark under the last step.
pub(super) fn remark(text: &str) {
    term::say(format!("    · {text}"));
}

/// What is told of an order, first to last.
const OF_AN_ORDER: [&str; 6] = [
    "order_no",
    "status",
    "total_fen",
    "expires_at",
    "paid_at",
    "transaction_id",
];

/// A body on one line: of an order the main fields, of a token its beginning, of what is long the
/// first characters.
fn shown(body: &Value) -> String {
    let mut body = body.clone();
    if let Some(Value::String(token)) = body.get_mut("token") {
        *token = token.chars().take(6).chain(['…']).collect();
    }
    let text = match body["order_no"] {
        Value::Null => body.to_string(),
        _ => {
            let fields = OF_AN_ORDER.map(|name| format!("\"{name}\":{}", body[name]));
            format!("{{{},…}}", fields.join(","))
        }
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Fen as yuan.
pub(super) fn yuan(fen: u64) -> String {
    format!("¥{}.{:02}", fen / 100, fen % 100)
}

/// The text under `name`.
///
/// # Errors
/// Names what is not there, in Chinese.
pub(super) fn text(body: &Value, name: &str) -> Result<String, String> {
    let text = body[name].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("回答里没有文字 {name}：{body}"))
}

/// The number under `name`.
///
/// # Errors
/// Names what is not there, in Chinese.
pub(super) fn number(body: &Value, name: &str) -> Result<u64, String> {
    body[name]
        .as_u64()
        .ok_or_else(|| format!("回答里没有整数 {name}：{body}"))
}

/// Whether two values are the same.
///
/// # Errors
/// Names what differs and both values, in Chinese.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: &T,
    found: &T,
) -> Result<(), String> {
    if wanted == found {
        Ok(())
    } else {
        Err(format!("{what}：应为 {wanted:?}，实际 {found:?}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_told_by_its_beginning_and_a_long_body_by_its_first_characters() {
        let token = "0123456789abcdef0123456789abcdef";
        assert_eq!(shown(&json!({ "token": token })), r#"{"token":"012345…"}"#);
        let long = shown(&json!("茶".repeat(500)));
        assert_eq!(long.chars().count(), SHOWN + 1);
    }

    #[test]
    fn an_order_is_told_by_its_main_fields() {
        let order = json!({"address": null, "order_no": "A1", "status": "paid", "total_fen": 5});
        let told = shown(&order);
        assert!(
            told.starts_with(r#"{"order_no":"A1","status":"paid","total_fen":5,"#),
            "{told}"
        );
    }

    #[test]
    fn fen_are_told_as_yuan() {
        assert_eq!(yuan(5), "¥0.05");
        assert_eq!(yuan(20_010), "¥200.10");
    }

    #[test]
    fn what_differs_is_named() {
        assert_eq!(same("库存", &1, &1), Ok(()));
        assert_eq!(same("库存", &1, &2), Err("库存：应为 1，实际 2".to_owned()));
    }
}
