//! The certificate of the public listener: can it be shown, and would a browser take it.

use super::finding::{Finding, Topic, words};
use crate::base::Timestamp;
use crate::cli::certificates::{Doubt, doubts};
use crate::cli::config::{self, Server, Tls};
use crate::web::Identity;

const DAY_S: u64 = 86_400;
/// A certificate that somebody has to renew by hand is told of this early.
const RENEW_DAYS: u64 = 30;

/// What is to be said of `[server.tls]` at `now`.
pub(super) fn findings(server: &Server, now: Timestamp) -> Vec<Finding> {
    let Tls::Files(files) = &server.tls else {
        return vec![];
    };
    // What cannot be read was told with the configuration; it may have changed since.
    let Ok(identity) = config::read_pair(files) else {
        return vec![];
    };
    let host = config::host_of(&server.public_url).unwrap_or_default();
    let doubts = doubts(&identity, host, now);
    if doubts.is_empty() {
        return vec![dates(&identity, now)];
    }
    doubts.into_iter().map(red).collect()
}

fn red(doubt: Doubt) -> Finding {
    let seen = words(
        format!("[server.tls] cert_file {}", doubt.cause.zh),
        format!("[server.tls] cert_file {}", doubt.cause.en),
    );
    Finding::broken(Topic::Network, seen, doubt.remedy)
}

fn dates(identity: &Identity, now: Timestamp) -> Finding {
    let days = identity.ends_at().since(now).as_secs() / DAY_S;
    let names = identity.names().join(" ");
    let seen = words(
        format!("TLS 证书（{names}）与私钥是一对，还有 {days} 天到期"),
        format!("the TLS certificate ({names}) and key are a pair, {days} days are left"),
    );
    match days {
        ..RENEW_DAYS => {
            let remedy = words(
                "续期后换上新文件，服务会自动换上；或改用 mode = \"acme\" 自动续期",
                "renew it and replace the files, the server takes them by itself; \
                 or let mode = \"acme\" renew it",
            );
            Finding::notice(Topic::Network, seen, remedy)
        }
        RENEW_DAYS.. => Finding::good(Topic::Network, seen),
    }
}
