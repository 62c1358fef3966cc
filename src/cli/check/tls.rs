//! The certificate of the public listener: can it be shown, and would a browser take it.

use super::finding::{Finding, Topic, Words, words};
use crate::base::Timestamp;
use crate::cli::config::{self, Server, Tls, TlsFiles};
use crate::web::{self, Identity, Standing};

const DAY_S: u64 = 86_400;
/// A certificate that somebody has to renew by hand is told of this early.
const RENEW_DAYS: u64 = 30;

/// What is to be said of `[server.tls]` at `now`, and of what the listener would show.
pub(super) fn findings(server: &Server, tls: Option<&web::Tls>, now: Timestamp) -> Vec<Finding> {
    match (&server.tls, tls) {
        (Tls::Files(files), _) => of_files(files, &server.public_url, now),
        (Tls::Acme(_), Some(tls)) => vec![of_authority(&tls.standing(), now)],
        (Tls::Acme(_), None) | (Tls::Off, _) => vec![],
    }
}

fn of_files(files: &TlsFiles, public_url: &str, now: Timestamp) -> Vec<Finding> {
    // What cannot be read was told with the configuration; it may have changed since.
    let Ok(identity) = config::read_pair(files) else {
        return vec![];
    };
    let host = config::host_of(public_url).unwrap_or_default();
    let doubts = doubts(&identity, host, now);
    if doubts.is_empty() {
        return vec![dates(&identity, now)];
    }
    doubts.into_iter().map(red).collect()
}

/// What the last run of the server left: a certificate, or why there is none.
fn of_authority(standing: &Standing, now: Timestamp) -> Finding {
    if let Some(why) = &standing.last_error {
        let seen = words(
            format!("上次申请证书没有成功：{why}"),
            format!("the last attempt to get a certificate failed: {why}"),
        );
        let remedy = words(
            "检查域名是否解析到本机、443 与 80 端口能否从公网访问；服务会自己再试",
            "check that the names lead here and that ports 443 and 80 can be reached from outside; \
             the server tries again by itself",
        );
        return Finding::broken(Topic::Network, seen, remedy);
    }
    let Some(ends_at) = standing.ends_at else {
        let seen = words(
            "还没有证书，服务首次启动时申请",
            "there is no certificate yet: the server gets it when it first runs",
        );
        let remedy = words(
            "先让域名解析到本机，放行 443 与 80 端口",
            "let the names lead here first, and open ports 443 and 80",
        );
        return Finding::notice(Topic::Network, seen, remedy);
    };
    let days = ends_at.since(now).as_secs() / DAY_S;
    let seen = words(
        format!("自动申请的证书还有 {days} 天到期，到期前自动续期"),
        format!("the certificate has {days} days left and is renewed before they end"),
    );
    Finding::good(Topic::Network, seen)
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

/// What a browser would not like of a certificate that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Doubt {
    /// What is wrong.
    pub(in crate::cli) cause: Words,
    /// What mends it.
    pub(in crate::cli) remedy: Words,
}

/// What a browser at `host` (empty: nobody knows which) would not like of `identity` at `now`.
pub(in crate::cli) fn doubts(identity: &Identity, host: &str, now: Timestamp) -> Vec<Doubt> {
    let (from, to) = (identity.starts_at(), identity.ends_at());
    let mut doubts = vec![];
    if to <= now {
        doubts.push(Doubt {
            cause: words(format!("的证书已在 {to} 到期"), format!("ended on {to}")),
            remedy: words("续期后换上新文件", "renew it and replace the files"),
        });
    }
    if now < from {
        doubts.push(Doubt {
            cause: words(
                format!("的证书从 {from} 才生效"),
                format!("does not begin before {from}"),
            ),
            remedy: words(
                "换上已生效的证书；若日期不对，校准本机时间（timedatectl）",
                "use one that is valid; if the date is wrong, set the clock (timedatectl)",
            ),
        });
    }
    if !host.is_empty() && !identity.covers(host) {
        let names = identity.names().join(" ");
        doubts.push(Doubt {
            cause: words(
                format!("的证书不含 public_url 的域名 {host}（证书里是 {names}）"),
                format!("is not for {host}, the host of public_url (it is for {names})"),
            ),
            remedy: words(
                "换上含这个域名的证书，或改正 [server] public_url",
                "use a certificate for that name, or mend [server] public_url",
            ),
        });
    }
    doubts
}
