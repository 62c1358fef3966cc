//! Reading what clients wrote: JSON with errors that name the field, and percent-encoding.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::HttpError;

/// Reads a `T` from a JSON object.
///
/// # Errors
/// `400 INVALID_REQUEST`; its message names the field that is wrong and the rule it breaks.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, HttpError> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(HttpError::invalid("请求体为空")),
        // serde would take `["x"]` for a struct of one field.
        Some(b'[') => return Err(HttpError::invalid("请求体应为 JSON 对象")),
        Some(_) => {}
    }
    let mut from = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut from)
        .map_err(|e| HttpError::invalid(fault(body, &e.path().to_string(), e.inner())))?;
    from.end().map_err(|e| HttpError::invalid(not_json(&e)))?;
    Ok(value)
}

/// Refuses a body that looks like JSON and whose objects and arrays lie deeper than `most` in each
/// other. Only counts: whether it is JSON at all is asked later, by who reads it.
pub(super) fn check_depth(body: &[u8], most: usize) -> Result<(), HttpError> {
    let body = body.trim_ascii_start();
    if !matches!(body.first(), Some(b'{' | b'[')) {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            let said = format!("请求体的 JSON 嵌套超过 {most} 层");
            return Err(HttpError::invalid(said));
        }
    }
    Ok(())
}

/// One Chinese sentence on what is wrong at `path`.
fn fault(body: &[u8], path: &str, error: &serde_json::Error) -> String {
    // Some values that fit no field, such as 1e999, are called bad syntax too.
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    if error.classify() == Category::Data || is_json {
        wrong_field(path, &error.to_string())
    } else {
        not_json(error)
    }
}

fn not_json(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    format!("请求体不是 JSON: 第 {line} 行第 {column} 列")
}

/// Says in Chinese what serde's `message` says about the field at `path`.
fn wrong_field(path: &str, message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(m, _)| m);
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let expected = message.rsplit_once("expected ").map(|(_, e)| in_chinese(e));
    if message.starts_with("missing field") {
        return format!("缺少{}", field(path, quoted).trim_end());
    }
    if message.starts_with("unknown field") {
        return format!("{}不认识", field(path, quoted));
    }
    if message.starts_with("duplicate field") {
        return format!("{}重复", field(path, quoted));
    }
    let named = field(path, "");
    match expected {
        Some(rule) if message.starts_with("invalid type") => {
            format!("{named}类型不对: 应为{rule}")
        }
        Some(rule) if message.starts_with("invalid ") || message.starts_with("unknown variant") => {
            format!("{named}的值不合规则: 应为{rule}")
        }
        _ => format!("{named}的值不合规则: {}", clipped(message)),
    }
}

/// `字段 "…" ` for the field `name` below `path`, or for `path` itself.
fn field(path: &str, name: &str) -> String {
    let root = path == "." || path == "?";
    let whole = match (root, name) {
        (true, "") => return "请求体".to_owned(),
        (true, name) => name.to_owned(),
        (false, "") => path.to_owned(),
        // serde names the field in the path already when it is the key that it refused.
        (false, name) if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        (false, name) => format!("{path}.{name}"),
    };
    format!("字段 \"{}\" ", clipped(&whole))
}

fn in_chinese(expected: &str) -> String {
    let known = match expected {
        "u8" => " 0 到 255 的整数",
        "u16" => " 0 到 65535 的整数",
        "u32" => " 0 到 4294967295 的整数",
        "u64" | "usize" => "不小于 0 的整数",
        "i8" | "i16" | "i32" | "i64" | "isize" => "整数",
        "a string" | "a borrowed string" => "文本",
        "a boolean" => " true 或 false",
        "a sequence" => "数组",
        "a map" => "对象",
        other if other.starts_with("struct ") => "对象",
        other => return format!(" {}", clipped(other)),
    };
    known.to_owned()
}

/// The beginning of a text that a client may have chosen.
fn clipped(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::base::GoodsId;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Line {
        goods_id: GoodsId,
        count: u32,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Size {
        Small,
        Large,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Order {
        lines: Vec<Line>,
        remark: Option<String>,
        gift: Option<bool>,
        size: Option<Size>,
        total_fen: Option<u64>,
        appid: Option<crate::base::AppId>,
    }

    #[test]
    fn a_wrong_body_is_refused_with_the_field_and_the_rule() {
        let cases = [
            ("", "请求体为空"),
            (" \n", "请求体为空"),
            ("{", "请求体不是 JSON: 第 1 行第 1 列"),
            ("{\"lines\":[]} x", "请求体不是 JSON: 第 1 行第 14 列"),
            ("code=5", "请求体不是 JSON: 第 1 行第 1 列"),
            ("[]", "请求体应为 JSON 对象"),
            ("5", "请求体类型不对: 应为对象"),
            ("null", "请求体类型不对: 应为对象"),
            ("{}", "缺少字段 \"lines\""),
            (
                r#"{"lines":[{"goods_id":1}]}"#,
                "缺少字段 \"lines[0].count\"",
            ),
            (r#"{"lines":[],"price":1}"#, "字段 \"price\" 不认识"),
            (
                r#"{"lines":[{"goods_id":1,"count":1,"price":1}]}"#,
                "字段 \"lines[0].price\" 不认识",
            ),
            (r#"{"lines":[],"lines":[]}"#, "字段 \"lines\" 重复"),
            (r#"{"lines":null}"#, "字段 \"lines\" 类型不对: 应为数组"),
            (r#"{"lines":[1]}"#, "字段 \"lines[0]\" 类型不对: 应为对象"),
            (
                r#"{"lines":[],"remark":5}"#,
                "字段 \"remark\" 类型不对: 应为文本",
            ),
            (
                r#"{"lines":[],"gift":"x"}"#,
                "字段 \"gift\" 类型不对: 应为 true 或 false",
            ),
            (
                r#"{"lines":[],"size":"x"}"#,
                "字段 \"size\" 的值不合规则: 应为 `small` or `large`",
            ),
            (
                r#"{"lines":[],"appid":"a b"}"#,
                "字段 \"appid\" 的值不合规则: appid must be 1 to 32 letters or digits",
            ),
        ];
        for (body, message) in cases {
            let error = read_json::<Order>(body.as_bytes()).expect_err(body);
            assert_eq!(error, HttpError::invalid(message), "{body}");
        }
    }

    #[test]
    fn a_number_that_is_no_count_is_refused_by_name() {
        let numbers = [
            "1.5",
            "-1",
            "1e3",
            "1e999",
            "4294967296",
            "99999999999999999999999",
            "\"1\"",
        ];
        for number in numbers {
            let body = format!(r#"{{"lines":[{{"goods_id":1,"count":{number}}}]}}"#);
            let error = read_json::<Order>(body.as_bytes()).expect_err(number);
            let named = error.message.starts_with("字段 \"lines[0].count\" ");
            assert!(named, "{number}: {}", error.message);
            let body = format!(r#"{{"lines":[],"total_fen":{number}}}"#);
            let error = read_json::<Order>(body.as_bytes()).err();
            let named = error.map(|e| e.message.starts_with("字段 \"total_fen\" "));
            assert_eq!(named, (number != "4294967296").then_some(true), "{number}");
        }
    }

    #[test]
    fn a_long_wrong_value_is_not_echoed() {
        let long = "x".repeat(5000);
        for body in [
            format!(r#"{{"lines":[],"total_fen":"{long}"}}"#),
            format!(r#"{{"lines":[],"appid":"{long}"}}"#),
            format!(r#"{{"lines":[],"size":"{long}"}}"#),
            format!(r#"{{"lines":[],"{long}":1}}"#),
        ] {
            let error = read_json::<Order>(body.as_bytes()).expect_err("refused");
            assert!(error.message.len() < 400, "{}", error.message);
        }
    }

    #[test]
    fn json_that_lies_too_deep_is_refused_and_brackets_in_texts_do_not_count() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let texts = [
            nested(32),
            format!("{{\"a\":{}}}", nested(31)),
            format!("[{0},{0}]", nested(31)),
            format!("{{\"a\":\"{}\"}}", "[".repeat(99)),
            format!("{{\"a\\\"{0}\\\\\":{1}}}", "[".repeat(99), nested(31)),
            "]]]]}}}}".to_owned(),
            format!("<xml>{}</xml>", "[".repeat(99)),
            String::new(),
        ];
        for text in texts {
            assert_eq!(check_depth(text.as_bytes(), 32), Ok(()), "{text}");
        }
        let deep = [
            nested(33),
            format!(" \n{{\"a\":{}}}", nested(32)),
            format!("{{\"a\":\"\\\\\",\"b\":{}}}", nested(32)),
            "[{\"\":".repeat(100_000),
        ];
        for text in &deep {
            let error = check_depth(text.as_bytes(), 32).expect_err("too deep");
            assert_eq!(error, HttpError::invalid("请求体的 JSON 嵌套超过 32 层"));
        }
    }

    #[test]
    fn percent_encoding_is_undone_and_what_is_none_stays() {
        let cases = [
            ("plain", "plain"),
            ("a%20b", "a b"),
            ("%E6%8E%8C", "掌"),
            ("%e6%8e%8c%", "掌%"),
            ("%zz%1", "%zz%1"),
            ("%ff", "\u{fffd}"),
        ];
        for (text, decoded) in cases {
            assert_eq!(percent_decoded(text), decoded, "{text}");
        }
    }
}
