//! Runs due work side by side: a few pieces at a time, one order at a time.
//!
//! A call to WeChat may take 25 s; it must hold up neither another order nor the shutdown. What is
//! not done stays due, so nothing here needs to be remembered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};

use super::{Shop, ShopError};
use crate::base::Timestamp;
use crate::store::due::{Due, Work};

/// How many pieces of work run at a time.
const WIDTH: usize = 8;

/// Work that runs now, and whom it is about.
#[derive(Default)]
pub(super) struct Runner {
    tasks: JoinSet<Result<(), ShopError>>,
    subjects: HashMap<Id, String>,
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It did what it could; what is left is due again.
    Well,
    /// It failed and is still due; the log says why.
    Badly,
}

impl Runner {
    /// How much more work may be started now.
    pub(super) fn room(&self) -> usize {
        WIDTH.saturating_sub(self.tasks.len())
    }

    /// Whether nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Starts what there is room for, leaving the rest, and what is about someone else's turn.
    pub(super) fn start(&mut self, shop: &Arc<Shop>, due: &mut VecDeque<Due>, now: Timestamp) {
        let mut rest = VecDeque::new();
        while let Some(one) = due.pop_front() {
            let subject = subject(&one.work);
            if self.room() == 0 || self.subjects.values().any(|running| *running == subject) {
                rest.push_back(one);
                continue;
            }
            let shop = Arc::clone(shop);
            let task = self
                .tasks
                .spawn(async move { shop.carry_out(one, now).await });
            self.subjects.insert(task.id(), subject);
        }
        *due = rest;
    }

    /// Waits for the next piece of work to end; for ever when nothing runs.
    pub(super) async fn ended(&mut self) -> Ended {
        match self.tasks.join_next_with_id().await {
            None => std::future::pending().await,
            Some(done) => self.settle(done),
        }
    }

    /// Waits for what runs, at most `within`; the rest is given up and stays due.
    pub(super) async fn finish(mut self, within: Duration) {
        let all = async {
            while let Some(done) = self.tasks.join_next_with_id().await {
                self.settle(done);
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::warn!("到期仍未完成的后台任务留待下次启动");
        }
    }

    fn settle(&mut self, done: Result<(Id, Result<(), ShopError>), JoinError>) -> Ended {
        let (id, failed) = match done {
            Ok((id, Ok(()))) => (id, None),
            Ok((id, Err(error))) => (id, Some(error.to_string())),
            Err(error) => (error.id(), Some(error.to_string())),
        };
        let subject = self.subjects.remove(&id).unwrap_or_default();
        let Some(error) = failed else {
            return Ended::Well;
        };
        tracing::error!(%subject, %error, "后台任务出错，稍后重试");
        Ended::Badly
    }
}

/// Whom work is about: two pieces about one order never run at the same time.
fn subject(work: &Work) -> String {
    match work {
        Work::Expire(order_no)
        | Work::Close(order_no)
        | Work::Report(order_no)
        | Work::Message(_, order_no)
        | Work::Complete(order_no) => order_no.to_string(),
        Work::Query(number) => number.order_no().to_string(),
        Work::Refund(refund_no) => refund_no.to_string(),
        Work::Bill(_) => "bill".to_owned(),
        Work::Webhook(id) => format!("webhook {id}"),
    }
}
