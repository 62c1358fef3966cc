//! Reading what clients wrote: JSON with errors that name the field, and percent-encoding.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::HttpError;

/// Reads a `T` from JSON.
///
/// # Errors
/// `400 INVALID_REQUEST`; its message names the field that is wrong and the rule it breaks.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, HttpError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(HttpError::invalid("请求体为空"));
    }
    let mut from = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut from);
    let value = read.map_err(|e| HttpError::invalid(sentence(&e.path().to_string(), e.inner())))?;
    let end = from.end();
    end.map_err(|e| HttpError::invalid(sentence(".", &e)))?;
    Ok(value)
}

fn sentence(path: &str, error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => wrong_field(path, &error.to_string()),
        Category::Io | Category::Syntax | Category::Eof => format!(
            "请求体不是 JSON: 第 {} 行第 {} 列",
            error.line(),
            error.column()
        ),
    }
}

/// Says in Chinese what serde's `message` says about the field at `path`.
fn wrong_field(path: &str, message: &str) -> String {
    format!("字段 \"{path}\" 类型不对: {message}")
}

/// `text` with its `%XX` decoded; what is no such pair stays, what is not UTF-8 becomes U+FFFD.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (byte == b'%').then(|| hex_pair(bytes.get(at + 1..at + 3)?));
        match pair.flatten() {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(pair[0])? * 16 + digit(pair[1])?;
    u8::try_from(value).ok()
}
