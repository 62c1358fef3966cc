//! One line from one event: time, level, target, fields; nothing in it can forge another line.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::LogFormat;
use crate::base::Timestamp;

/// A line in the making, and the second that was printed last.
#[derive(Default)]
pub(super) struct Line {
    pub(super) text: String,
    second: i64,
    stamp: String,
}

impl Line {
    pub(super) fn compose(&mut self, format: LogFormat, at_ms: i64, event: &Event<'_>) {
        let (second, ms) = (at_ms.div_euclid(1000), at_ms.rem_euclid(1000));
        if self.second != second || self.stamp.is_empty() {
            self.second = second;
            self.stamp = Timestamp::from_unix(second).rfc3339();
        }
        let (time, offset) = self.stamp.split_at(self.stamp.len() - "+08:00".len());
        let (level, target) = (level_name(event.metadata()), event.metadata().target());
        let text = &mut self.text;
        text.clear();
        let [start, to_level, to_target, end] = match format {
            LogFormat::Pretty => ["", " ", " ", ":"],
            LogFormat::Json => ["{\"at\":\"", "\",\"level\":\"", "\",\"target\":\"", "\""],
        };
        push_all(text, &[start, time, "."]);
        for unit in [100, 10, 1] {
            push_number(text, u64::try_from(ms / unit % 10).unwrap_or(0));
        }
        push_all(text, &[offset, to_level, level, to_target, target, end]);
        match format {
            LogFormat::Pretty => {
                event.record(&mut Pretty(text));
                text.push('\n');
            }
            LogFormat::Json => {
                event.record(&mut Json(text));
                text.push_str("}\n");
            }
        }
    }
}

fn push_all(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

/// `number` in decimal: a line has four of them, and formatting costs five times as much.
fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + u8::try_from(number % 10).expect("one digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[from..]).expect("digits are ASCII"));
}

fn level_name(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// Fields as ` key=value`, the message bare.
struct Pretty<'a>(&'a mut String);

impl Pretty<'_> {
    fn name(&mut self, field: &Field) {
        match field.name() {
            "message" => self.0.push(' '),
            name => push_all(self.0, &[" ", name, "="]),
        }
    }
}

impl Visit for Pretty<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        // Writing to a String does not fail; a value that refuses to be printed stays cut.
        let _ = write!(Escaped(self.0), "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        let _ = Escaped(self.0).write_str(value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        push_number(self.0, value);
    }
}

/// Fields as `,"key":value`.
struct Json<'a>(&'a mut String);

impl Json<'_> {
    fn name(&mut self, field: &Field) {
        push_all(self.0, &[",\"", field.name(), "\":"]);
    }
}

impl Visit for Json<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push('"');
        let _ = write!(Escaped(self.0), "{value:?}");
        self.0.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.0.push('"');
        let _ = Escaped(self.0).write_str(value);
        self.0.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        push_number(self.0, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field);
        if value < 0 {
            self.0.push('-');
        }
        push_number(self.0, value.unsigned_abs());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        self.0.push_str(if value { "true" } else { "false" });
    }
}

/// Text escaped as JSON does, so that no value can forge a line or move a terminal's cursor.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
        // No early exit: the loop over short texts is vectorised.
        if text.bytes().fold(true, |all, b| {
            all & matches!(b, b' '..=b'~') & (b != b'"') & (b != b'\\')
        }) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                '\n' => self.0.push_str("\\n"),
                c if plain(c) => self.0.push(c),
                c => write!(self.0, "\\u{:04x}", u32::from(c))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_forge_a_line_or_move_the_cursor() {
        let mut text = String::new();
        let _ = write!(Escaped(&mut text), "a\"b\\c\nd\r\u{1b}[2J掌\u{85}");
        assert_eq!(text, "a\\\"b\\\\c\\nd\\u000d\\u001b[2J掌\\u0085");
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 9, 10, 1234, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }
}
