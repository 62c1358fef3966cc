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
        self.text.clear();
        let text = &mut self.text;
        // Writing to a String does not fail; a value that refuses to be printed stays cut.
        let _ = match format {
            LogFormat::Pretty => write!(text, "{time}.{ms:03}{offset} {level:5} {target}:"),
            LogFormat::Json => write!(
                text,
                "{{\"time\":\"{time}.{ms:03}{offset}\",\"level\":\"{level}\",\"target\":\"{target}\""
            ),
        };
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

impl Visit for Pretty<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => self.0.write_char(' '),
            name => write!(self.0, " {name}="),
        };
        let _ = write!(Escaped(self.0), "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Fields as `,"key":value`.
struct Json<'a>(&'a mut String);

impl Visit for Json<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, ",\"{}\":\"", field.name());
        let _ = write!(Escaped(self.0), "{value:?}");
        self.0.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let _ = write!(self.0, ",\"{}\":{value}", field.name());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let _ = write!(self.0, ",\"{}\":{value}", field.name());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let _ = write!(self.0, ",\"{}\":{value}", field.name());
    }
}

/// Text escaped as JSON does, so that no value can forge a line or move a terminal's cursor.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
        if text
            .bytes()
            .all(|b| matches!(b, b' '..=b'~') && plain(char::from(b)))
        {
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
}
