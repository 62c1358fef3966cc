//! The simulator's clock: moved by a test, followed by servers that run beside it.
//!
//! A server in the same process shares the clock itself (`demo`); another one asks for it and is
//! answered when it moves, so that both play the same day.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Sandbox;
use crate::web::{self, Anyone, HttpError, Outcome, Req, StatusCode};

/// The farthest the clock moves in one step: ten years, seconds.
const FARTHEST_S: i64 = 10 * 366 * 86_400;
/// How long a follower is kept waiting for news.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a move waits for followers to come along.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(1);

/// The offsets that waiting followers have, one entry each.
pub(super) type Followers = watch::Sender<Vec<i64>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveClock {
    advance_s: i64,
}

/// `PUT /sandbox/clock`: answers when every follower has come along.
pub(super) async fn advance(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let MoveClock { advance_s } = req.json().await?;
    if !(-FARTHEST_S..=FARTHEST_S).contains(&advance_s) {
        return Err(HttpError::invalid("advance_s 超出范围 (out of range)"));
    }
    let behind = sandbox.followers.borrow().len();
    sandbox.clock.advance(advance_s);
    let here = sandbox.clock.advanced_s();
    let mut followers = sandbox.followers.subscribe();
    let come = |all: &Vec<i64>| all.iter().filter(|seen| **seen == here).count() >= behind;
    // A follower that was killed never comes: then the move is done all the same.
    let _ = tokio::time::timeout(FOLLOWED_WITHIN, followers.wait_for(come)).await;
    Ok(web::json(StatusCode::OK, &sandbox.time()))
}

/// `GET /sandbox/clock`: at once; with `?seen=<advanced_s>` when it is no longer that.
pub(super) async fn read(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    if let Some(seen) = req.query("seen") {
        let seen = seen.parse::<i64>();
        let seen = seen.map_err(|_| HttpError::invalid("seen 应为整数 (a number of seconds)"))?;
        sandbox.followers.send_modify(|all| all.push(seen));
        let mut stopping = sandbox.stopping.subscribe();
        tokio::select! {
            () = sandbox.clock.moved_from(seen) => {}
            () = tokio::time::sleep(PATIENCE) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        sandbox.followers.send_modify(|all| {
            let place = all.iter().position(|other| *other == seen);
            place.map(|place| all.swap_remove(place));
        });
    }
    Ok(web::no_store(web::json(StatusCode::OK, &sandbox.time())))
}

impl Sandbox {
    fn time(&self) -> Value {
        json!({"now": self.now().rfc3339(), "advanced_s": self.clock.advanced_s()})
    }
}
