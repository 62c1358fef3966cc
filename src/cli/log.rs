//! The log: one line an event on stderr, pretty or JSON, written in batches by a thread of its own.
//!
//! Spans are not kept: every line reads alone. When stderr stands still lines are dropped and
//! counted, never waited for: a full disk under the log must not stop payments.
//!
//! A JSON line is one object. These names stay; what else an event knows stands beside them:
//!
//! | name | in | what |
//! |---|---|---|
//! | `at` | every line | when, RFC 3339 with milliseconds and `+08:00` |
//! | `level` | every line | `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE` |
//! | `target` | every line | who says it; `access` for requests, `panic` for panics |
//! | `message` | every line of ours | one sentence that reads alone |
//! | `request_id` | requests, and what concerns one | as in the answer's `x-request-id` |
//! | `method` `route` `path` `status` | requests | the route is the table's pattern, or `none` |
//! | `ms` `elapsed_us` `bytes` `client_addr` | requests | how long, how much, to whom |
//! | `error` | failures | the cause |
//! | `alert` | alerts | the kind, while it begins, lasts or ends |
//! | `order_no` `refund_no` `subject` | what concerns one | ours |
//!
//! Keeping, turning over and deleting lines is journald's work, or whoever reads stderr.

mod line;
mod lines;

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;

use self::line::Line;
use self::lines::Lines;
use crate::base::Clock;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `time LEVEL target: message key=value`, for people.
    Pretty,
    /// One JSON object a line, for programs.
    Json,
}

/// Writes out what waits when it is dropped.
#[derive(Debug)]
pub struct LogGuard {
    lines: Arc<Lines>,
}

/// Sends the events and panics of this process to stderr from now on.
///
/// `level` is `off`, `error`, `warn`, `info`, `debug` or `trace`, for our own events; other crates'
/// are shown from `warn` on, unless `level` goes on with `,<target>=<level>`.
///
/// # Errors
/// A Chinese sentence, when `level` is none of these or the log was started before.
pub fn start(format: LogFormat, level: &str) -> Result<LogGuard, String> {
    let targets = targets(level)?;
    let lines = Arc::new(Lines::default());
    let log = Log {
        format,
        targets,
        clock: Clock::system(),
        lines: Arc::clone(&lines),
    };
    tracing::subscriber::set_global_default(log).map_err(|_| "日志已经启动过".to_owned())?;
    let writer = Arc::clone(&lines);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.write_all_to(&mut std::io::stderr()))
        .map_err(|e| format!("无法启动日志线程: {e}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(LogGuard { lines })
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.lines.close();
    }
}

fn targets(level: &str) -> Result<Targets, String> {
    let wrong = |text: &str| format!("不认识的日志级别 \"{text}\"");
    let read = |text: &str| {
        let level = text.parse::<LevelFilter>().ok();
        // An empty text would be read as `error`.
        level
            .filter(|_| !text.is_empty())
            .ok_or_else(|| wrong(text))
    };
    let mut parts = level.split(',').map(str::trim);
    let own = read(parts.next().unwrap_or_default())?;
    let mut targets = Targets::new()
        .with_default(own.min(LevelFilter::WARN))
        .with_targets(["zhanggui", "access", "panic"].map(|target| (target, own)));
    for part in parts {
        let (target, level) = part.split_once('=').ok_or_else(|| wrong(part))?;
        targets = targets.with_target(target, read(level)?);
    }
    Ok(targets)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let location = panic.location().map(ToString::to_string);
    tracing::error!(
        target: "panic",
        location = location.as_deref().unwrap_or("?"),
        "程序出错 (panic): {}", text.unwrap_or("?")
    );
}

/// The subscriber.
struct Log {
    format: LogFormat,
    targets: Targets,
    clock: Clock,
    lines: Arc<Lines>,
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let shown = self
            .targets
            .would_enable(metadata.target(), metadata.level());
        shown && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        // A value whose printing logs or panics finds the line in use: its line is left out.
        LINE.with(|line| {
            if let Ok(mut line) = line.try_borrow_mut() {
                line.compose(self.format, self.clock.now_ms(), event);
                self.lines.push(line.text.as_bytes());
            }
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

thread_local! {
    static LINE: RefCell<Line> = RefCell::new(Line::default());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What `act` logs.
    fn logged(format: LogFormat, level: &str, act: fn()) -> String {
        let lines = Arc::new(Lines::default());
        let log = Log {
            format,
            targets: targets(level).unwrap(),
            clock: Clock::system(),
            lines: Arc::clone(&lines),
        };
        tracing::subscriber::with_default(log, act);
        let writer = Arc::clone(&lines);
        let thread = std::thread::spawn(move || {
            let mut out = Vec::new();
            writer.write_all_to(&mut out);
            out
        });
        lines.close();
        String::from_utf8(thread.join().unwrap()).unwrap()
    }

    fn a_request() {
        tracing::info!(target: "access", method = "GET", status = 200_u16, path = %"/a\"b");
        tracing::warn!(attempts = 3, late = true, "对方没有回答");
        tracing::debug!("seen at debug only");
        tracing::info!(target: "hyper_util", "another crate's");
        tracing::warn!(target: "hyper_util", "another crate's warning");
    }

    #[test]
    fn json_lines_hold_each_field_with_its_type() {
        let text = logged(LogFormat::Json, "info", a_request);
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let access = lines.next().unwrap();
        assert_eq!(access["target"], "access");
        assert_eq!(access["status"], 200);
        assert_eq!(access["path"], "/a\"b");
        let time = access["at"].as_str().unwrap();
        assert!(time.len() == 29 && time.ends_with("+08:00"), "{time}");
        let warning = lines.next().unwrap();
        assert_eq!(warning["message"], "对方没有回答");
        assert_eq!(
            (&warning["attempts"], &warning["late"]),
            (&3.into(), &true.into())
        );
        assert_eq!(lines.next().unwrap()["message"], "another crate's warning");
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn pretty_lines_can_be_read() {
        let text = logged(LogFormat::Pretty, "info", a_request);
        let lines: Vec<&str> = text.lines().map(|line| &line[30..]).collect();
        assert_eq!(
            lines,
            [
                "INFO access: method=GET status=200 path=/a\\\"b",
                "WARN zhanggui::cli::log::tests: 对方没有回答 attempts=3 late=true",
                "WARN hyper_util: another crate's warning",
            ]
        );
    }

    #[test]
    fn the_level_decides_what_is_shown() {
        let shown = |level| logged(LogFormat::Pretty, level, a_request).lines().count();
        assert_eq!(shown("off"), 0);
        assert_eq!(shown("warn"), 2);
        assert_eq!(shown("debug"), 4);
        assert_eq!(shown("info,hyper_util=info"), 4);
        for wrong in ["", "loud", "info,hyper", "info,hyper=loud"] {
            assert!(targets(wrong).is_err(), "{wrong:?}");
        }
    }
}
