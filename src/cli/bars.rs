//! Progress of long work: a bar on a terminal, nothing where output is piped.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::store::{Doing, Reached};

/// How often a bar is drawn.
const DRAWN_HZ: u8 = 10;
/// Work that is over sooner shows no bar.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// A bar that follows a piece of work from one step to the next.
pub(super) struct Bars {
    begun: std::time::Instant,
    shown: RefCell<Option<(Doing, ProgressBar)>>,
}

impl Bars {
    /// Nothing to show yet.
    pub(super) fn new() -> Self {
        Self {
            begun: std::time::Instant::now(),
            shown: RefCell::new(None),
        }
    }

    /// Whether somebody sits before them: stderr is a terminal.
    pub(super) fn are_seen(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Shows how far the work has come, on a terminal, once it takes more than a second.
    pub(super) fn show(&self, reached: Reached) {
        if !self.are_seen() || self.begun.elapsed() < SHOWN_AFTER {
            return;
        }
        let mut shown = self.shown.borrow_mut();
        let (doing, bar) = shown.get_or_insert_with(|| (reached.doing, bar_of(reached)));
        if *doing != reached.doing {
            bar.finish_and_clear();
            (*doing, *bar) = (reached.doing, bar_of(reached));
        }
        bar.set_length(reached.of);
        bar.set_position(reached.done);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Some((_, bar)) = self.shown.get_mut() {
            bar.finish_and_clear();
        }
    }
}

fn bar_of(reached: Reached) -> ProgressBar {
    let (title, unit) = match reached.doing {
        Doing::Copy => ("复制", Unit::Bytes),
        Doing::Sums => ("核对文件", Unit::Bytes),
        Doing::Journal => ("核对账本", Unit::Things("段")),
        Doing::Load => ("重建工作集", Unit::Things("条")),
        Doing::Audit => ("逐条核对记录", Unit::Things("条")),
        Doing::Compare => ("与工作集比较", Unit::Things("条")),
    };
    let counted = match unit {
        Unit::Bytes => "{bytes}/{total_bytes} {bytes_per_sec}".to_owned(),
        Unit::Things(of) => format!("{{pos}}/{{len}} {of}"),
    };
    let template = format!("{{msg}} [{{bar:30}}] {{percent:>3}}% {counted} 剩余 {{eta}}");
    let style = ProgressStyle::with_template(&template);
    let target = ProgressDrawTarget::stderr_with_hz(DRAWN_HZ);
    let bar = ProgressBar::with_draw_target(Some(reached.of), target).with_message(title);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

enum Unit {
    Bytes,
    Things(&'static str),
}

/// `12.3 MiB`, for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
