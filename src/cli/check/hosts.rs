//! The way to WeChat and back: names, connections, certificates, clocks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::finding::{Finding, Topic, Words, words};
use crate::base::{Clock, Timestamp};
use crate::web::{
    Anyone, Client, Limits, Method, Outcome, Reach, Req, Router, Server, Stage, StatusCode, Tls,
    TrustedProxies, json, route,
};

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(8);
/// From here on WeChat refuses our requests as stale.
///
/// Source: 微信支付 APIv3 · 签名生成 (5 minutes).
const SKEW_RED: Duration = Duration::from_secs(300);
/// From here on the clock should be set.
const SKEW_NOTICE: Duration = Duration::from_secs(60);

/// Whether one of WeChat's hosts answers, and how our clock stands against its.
pub(super) async fn host(client: &Client, key: &str, base: &str, clock: &Clock) -> Vec<Finding> {
    let before = clock.now();
    let reach = client.reach(&format!("{base}/"), WITHIN).await;
    match reach {
        Reach::Answered { date, .. } => {
            let tls = if base.starts_with("https://") {
                ("证书可信", "its certificate is trusted")
            } else {
                ("本机 http，不经 TLS", "loopback http, no TLS")
            };
            let seen = words(
                format!("{key} {base} 可以访问，{}", tls.0),
                format!("{key} {base} answers, {}", tls.1),
            );
            let date = date.as_deref().and_then(Timestamp::from_http_date);
            let skew = date.map(|theirs| skew(base, before, clock.now(), theirs));
            let good = Finding::good(Topic::Network, seen);
            std::iter::once(good).chain(skew).collect()
        }
        Reach::Stopped { stage, why } => vec![stopped(key, base, stage, &why)],
    }
}

/// How far our clock, read `before` and `after` the answer, is from WeChat's.
pub(super) fn skew(base: &str, before: Timestamp, after: Timestamp, theirs: Timestamp) -> Finding {
    let ahead = before.since(theirs);
    let behind = theirs.since(after);
    let off = ahead.max(behind);
    let seconds = off.as_secs();
    let seen = if ahead > behind {
        words(
            format!("本机时钟比 {base} 快 {seconds} 秒"),
            format!("our clock is {seconds} s ahead of {base}"),
        )
    } else {
        words(
            format!("本机时钟比 {base} 慢 {seconds} 秒"),
            format!("our clock is {seconds} s behind {base}"),
        )
    };
    let remedy = words(
        "校准时钟：timedatectl set-ntp true（或安装 chrony）；差 5 分钟以上微信拒绝一切请求",
        "set the clock: timedatectl set-ntp true (or install chrony); \
         beyond 5 minutes WeChat refuses everything",
    );
    if off >= SKEW_RED {
        Finding::broken(Topic::Network, seen, remedy)
    } else if off >= SKEW_NOTICE {
        Finding::notice(Topic::Network, seen, remedy)
    } else {
        Finding::good(Topic::Network, seen)
    }
}

fn stopped(key: &str, base: &str, stage: Stage, why: &str) -> Finding {
    let seen = words(
        format!("{key} {base}：{stage}：{why}"),
        format!("{key} {base}: {why}"),
    );
    Finding::broken(Topic::Network, seen, way(stage))
}

fn way(stage: Stage) -> Words {
    match stage {
        Stage::Dns => words(
            "检查 /etc/resolv.conf 的 DNS 服务器，或域名是否写错",
            "check the DNS servers in /etc/resolv.conf, or whether the name is misspelt",
        ),
        Stage::Connect => words(
            "检查防火墙与安全组是否放行出站 443，或地址、端口是否写错",
            "check that firewall and security group let 443 out, or the address and port",
        ),
        Stage::Tls => words(
            "证书不可信：检查是否有代理劫持 HTTPS、证书是否过期、本机时间是否正确",
            "the certificate is not trusted: look for a proxy that intercepts HTTPS, \
             an expired certificate, a wrong clock",
        ),
        Stage::Silent | Stage::Broken => words(
            "网络不稳或被中途拦截：稍后再查一次，仍如此则联系云服务商",
            "the network is unstable or something cuts it: look again, then ask the provider",
        ),
    }
}

/// Whether our own public address leads to us. Where no server runs yet, `stand_in` answers
/// meanwhile.
pub(super) async fn public_url(
    client: &Client,
    url: &str,
    stand_in: Option<Server>,
) -> Vec<Finding> {
    if url.is_empty() {
        return vec![];
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stand_in = stand_in.map(|server| {
        let router = Router::new(vec![route(Method::GET, HEALTH, healthz)]);
        let ended = async {
            // The sender's end is the only thing waited for.
            let _ = stopped.await;
        };
        tokio::spawn(server.serve(router, Arc::new(()), ended))
    });
    let reach = client.reach(&format!("{url}{HEALTH}"), WITHIN).await;
    let _ = stop.send(());
    if let Some(server) = stand_in {
        let _ = server.await;
    }
    vec![ours(url, reach)]
}

const HEALTH: &str = "/healthz";

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn healthz(_: Arc<()>, _: Anyone, _: Req) -> Outcome {
    Ok(json(StatusCode::OK, &Health { status: "ok" }))
}

/// A server on `listen`, unless one runs there already.
pub(super) async fn stand_in(listen: SocketAddr, tls: Option<Tls>) -> Option<Server> {
    let limits = Limits {
        max_body_bytes: 1024,
        max_connections: 64,
        ..Limits::default()
    };
    let proxies = TrustedProxies::parse::<String>(&[]).ok()?;
    let bound = Server::bind(listen, limits, proxies, Clock::system()).await;
    Some(match tls {
        Some(tls) => bound.ok()?.secured_by(tls),
        None => bound.ok()?,
    })
}

fn ours(url: &str, reach: Reach) -> Finding {
    let (seen, remedy) = match reach {
        Reach::Answered {
            status: 200, body, ..
        } if body.contains("\"status\":\"ok\"") => {
            let seen = words(
                format!("[server] public_url {url} 通到本服务"),
                format!("[server] public_url {url} leads to this server"),
            );
            return Finding::good(Topic::Network, seen);
        }
        Reach::Answered { status, .. } => (
            words(
                format!("[server] public_url {url} 有回答（HTTP {status}），但不是本服务"),
                format!("[server] public_url {url} answers (HTTP {status}), but not from here"),
            ),
            words(
                "检查域名解析到哪台机器、反向代理转发到 [server] listen",
                "check where the name leads and that the reverse proxy forwards to [server] listen",
            ),
        ),
        Reach::Stopped { stage, why } => {
            return stopped("[server] public_url", url, stage, &why);
        }
    };
    Finding::broken(Topic::Network, seen, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Verdict;
    use crate::web::demanding::Demanding;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix(second)
    }

    #[test]
    fn a_clock_off_by_five_minutes_is_red_in_both_directions() {
        let verdict =
            |ours: i64, theirs: i64| skew("https://host", at(ours), at(ours), at(theirs)).verdict;
        assert_eq!(verdict(1000, 1059), Verdict::Good);
        assert_eq!(verdict(1000, 1060), Verdict::Notice);
        assert_eq!(verdict(1000, 1300), Verdict::Broken);
        assert_eq!(verdict(1300, 1000), Verdict::Broken);
        assert_eq!(verdict(1299, 1000), Verdict::Notice);
        let fast = skew("https://host", at(1300), at(1301), at(1000));
        assert!(fast.seen.zh.contains("快 300 秒") && fast.remedy.zh.contains("timedatectl"));
    }

    #[tokio::test]
    async fn a_public_address_that_leads_elsewhere_is_red_and_ours_is_good() {
        let client = Client::new().unwrap();
        let free = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let found = public_url(
            &client,
            &format!("http://{free}"),
            stand_in(free, None).await,
        )
        .await;
        assert_eq!(found[0].verdict, Verdict::Good, "{found:?}");
        let other = stand_in("127.0.0.1:0".parse().unwrap(), None)
            .await
            .unwrap();
        let elsewhere = other.local_addr();
        let table = Router::<()>::new(vec![]);
        tokio::spawn(other.serve(table, Arc::new(()), std::future::pending()));
        let found = public_url(&client, &format!("http://{elsewhere}"), None).await;
        assert_eq!(found[0].verdict, Verdict::Broken, "{found:?}");
        assert!(found[0].seen.zh.contains("404"));
        let found = public_url(&client, "http://no.invalid", None).await;
        assert!(found[0].seen.zh.contains("DNS"), "{found:?}");
    }

    #[tokio::test]
    async fn a_host_that_does_not_answer_is_red_with_the_stage_it_stopped_at() {
        let client = Client::new().unwrap();
        let clock = Clock::system();
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        for (base, stage) in [
            ("https://no.invalid".to_owned(), "DNS"),
            (format!("http://{closed}"), "connect"),
        ] {
            let found = host(&client, "[wechat] api_base", &base, &clock).await;
            assert_eq!(found[0].verdict, Verdict::Broken);
            assert!(found[0].seen.zh.contains(stage), "{found:?}");
        }
        let plain = stand_in("127.0.0.1:0".parse().unwrap(), None)
            .await
            .unwrap();
        let base = format!("https://{}", plain.local_addr());
        tokio::spawn(plain.serve(
            Router::<()>::new(vec![]),
            Arc::new(()),
            std::future::pending(),
        ));
        let found = host(&client, "[wechat] api_base", &base, &clock).await;
        assert!(found[0].seen.zh.contains("TLS"), "{found:?}");
        let selfmade = Demanding::answering(vec![String::new()]).base;
        let found = host(&client, "[wechat] api_base", &selfmade, &clock).await;
        assert_eq!(found[0].verdict, Verdict::Broken);
        assert!(found[0].seen.zh.contains("TLS"), "{found:?}");
        assert!(found[0].remedy.en.contains("not trusted"), "{found:?}");
        let http = base.replace("https", "http");
        let found = host(&client, "[wechat] api_base", &http, &clock).await;
        assert_eq!(found[0].verdict, Verdict::Good, "{found:?}");
    }
}
