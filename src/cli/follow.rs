//! `serve --clock-from`: a server follows the clock of a simulator on the same machine.
//!
//! For tests that play days in seconds against the real program; never for a server that deals
//! with WeChat itself.

use std::time::Duration;

use serde::Deserialize;

use super::config::{Config, is_loopback_url};
use super::exit::Failure;
use crate::base::Clock;
use crate::web::{Client, Method, Outgoing};

/// Longer than the simulator keeps a follower waiting.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two tries while the simulator does not answer.
const PAUSE: Duration = Duration::from_millis(200);
const ANSWER_BYTES: usize = 4096;

#[derive(Deserialize)]
struct Told {
    advanced_s: i64,
}

/// Sets `clock` by the simulator at `url`, and from now on whenever it moves.
///
/// # Errors
/// [`Failure::Failed`]: `url` or an address of WeChat's is not on this machine, or nobody answers.
pub async fn simulator(url: String, config: &Config, clock: Clock) -> Result<(), Failure> {
    let bases = [&url, &config.wechat.api_base, &config.pay.api_base];
    if !bases.iter().all(|base| is_loopback_url(base)) {
        let why = "--clock-from 只用于本机的模拟器：它和 api_base 都必须是本机的 http 地址";
        return Err(Failure::Failed(why.to_owned()));
    }
    let client = Client::new().map_err(|why| Failure::failed("无法建立 HTTP 客户端", why))?;
    let url = format!("{}/sandbox/clock", url.trim_end_matches('/'));
    let first = ask(&client, url.clone()).await;
    let first = first.map_err(|why| Failure::failed("无法读取模拟器的时钟", why))?;
    clock.set_advanced(first);
    tokio::spawn(follow(client, url, clock));
    Ok(())
}

/// Asks again and again; each question is answered when the clock has moved.
async fn follow(client: Client, url: String, clock: Clock) {
    loop {
        let seen = format!("{url}?seen={}", clock.advanced_s());
        match ask(&client, seen).await {
            Ok(advanced_s) => clock.set_advanced(advanced_s),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn ask(client: &Client, url: String) -> Result<i64, String> {
    let request = Outgoing {
        method: Method::GET,
        url,
        headers: vec![],
        body: vec![],
    };
    let answer = client.send(request, DEADLINE, ANSWER_BYTES).await;
    let answer = answer.map_err(|why| why.to_string())?;
    let told = serde_json::from_slice::<Told>(&answer.body);
    told.map(|told| told.advanced_s)
        .map_err(|_| format!("HTTP {}", answer.status))
}
