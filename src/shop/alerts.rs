//! What the operator must hear of: facts become alerts, and alerts are told once, at most daily
//! while they last, and when they end. Pure: facts and time come in.

use std::time::Duration;

use crate::base::{Day, Timestamp};
use crate::store::alerts::{Silence, Standing};

const DAY: Duration = Duration::from_secs(86_400);

/// From when on each kind is an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertLimits {
    /// So many payments found by asking, without a notify,
    pub silent_payments: u64,
    /// over at least this long.
    pub silent_for: Duration,
    /// Fewer free bytes on the disk.
    pub disk_free_bytes: u64,
    /// Our clock and WeChat's differ by more.
    pub clock_skew: Duration,
    /// Work has been due for longer.
    pub overdue: Duration,
}

impl Default for AlertLimits {
    fn default() -> Self {
        Self {
            silent_payments: 3,
            silent_for: Duration::from_secs(600),
            disk_free_bytes: 2 << 30,
            clock_skew: Duration::from_secs(60),
            overdue: Duration::from_secs(900),
        }
    }
}

/// From this difference on WeChat's signatures are refused, and ours by WeChat.
///
/// Source: 微信支付 APIv3 · 如何验证签名 (5 分钟).
const SKEW_FATAL_S: u64 = 300;

/// Something that is done again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chore {
    /// When it last went well, or since when it should.
    pub well_at: Timestamp,
    /// How often it should.
    pub every: Duration,
    /// Why it failed last, when it did.
    pub failure: Option<String>,
}

/// What is known of the shop at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Payments that no notify told of.
    pub silence: Option<Silence>,
    /// Days whose bill differs from our orders, with how many differences are open.
    pub differing: Vec<(Day, u64)>,
    /// Certificates by kind, and until when they are valid; `None` while that is not known.
    pub certificates: Vec<(&'static str, Option<Timestamp>)>,
    /// Free bytes on the data directory's disk.
    pub disk_free_bytes: Option<u64>,
    /// Our clock less WeChat's, in seconds, once it answered.
    pub skew_s: Option<i64>,
    /// The scheduled backup, when there is one.
    pub backup: Option<Chore>,
    /// The base file.
    pub base: Option<Chore>,
    /// The oldest due work of each kind, and when it was due.
    pub due: Vec<(&'static str, Timestamp)>,
    /// Webhook endpoints that were given up, and why.
    pub dead_webhooks: Vec<(u64, String)>,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its kind, as in `alert.<kind>`.
    pub kind: &'static str,
    /// What it is about, where there are several of a kind.
    pub about: String,
    /// How bad it is, from 1.
    pub grade: u8,
    /// Cause and remedy.
    pub said: String,
}

impl Alert {
    fn new(kind: &'static str, grade: u8, said: String) -> Self {
        let about = String::new();
        Self {
            kind,
            about,
            grade,
            said,
        }
    }

    fn about(self, about: &dyn ToString) -> Self {
        let about = about.to_string();
        Self { about, ..self }
    }

    /// The name under which it stands.
    pub fn name(&self) -> String {
        match &*self.about {
            "" => self.kind.to_owned(),
            about => format!("{}:{about}", self.kind),
        }
    }
}

/// The alerts of which `facts` know nothing: they neither begin nor end.
pub fn unknown(facts: &Facts) -> Vec<String> {
    let disk = facts.disk_free_bytes.is_none().then_some("disk_low");
    let clock = facts.skew_s.is_none().then_some("clock_skew");
    let unread = facts.certificates.iter().filter(|(_, at)| at.is_none());
    let unread = unread.map(|(kind, _)| format!("certificate:{kind}"));
    let fixed = [disk, clock].into_iter().flatten().map(str::to_owned);
    fixed.chain(unread).collect()
}

/// What is wrong, by `facts` at `now`.
pub fn found(facts: &Facts, limits: &AlertLimits, now: Timestamp) -> Vec<Alert> {
    let mut all = vec![];
    all.extend(silent(facts, limits, now));
    all.extend(differing(facts));
    let ending = facts.certificates.iter();
    all.extend(ending.filter_map(|(kind, at)| ends_soon(kind, (*at)?, now)));
    all.extend(disk_low(facts, limits));
    all.extend(skewed(facts, limits));
    let backup = facts.backup.as_ref();
    let remedy = "请检查 [backup] dir 所在磁盘的空间与权限";
    all.extend(backup.and_then(|chore| undone("backup", "定时备份", (chore, remedy), now)));
    let base = facts.base.as_ref();
    let remedy = "账本完好，但下次重建会更慢；请检查数据目录的磁盘";
    all.extend(base.and_then(|chore| undone("base_file", "基准文件", (chore, remedy), now)));
    let due = facts.due.iter();
    all.extend(due.filter_map(|(kind, at)| overdue(kind, *at, (limits, now))));
    all.extend(facts.dead_webhooks.iter().map(|(id, why)| {
        let said =
            format!("webhook 端点 {id} 已停用：{why}；修好后执行 zhanggui webhook replay {id}");
        Alert::new("webhook_dead", 1, said).about(id)
    }));
    all
}

fn silent(facts: &Facts, limits: &AlertLimits, now: Timestamp) -> Option<Alert> {
    let silence = facts.silence?;
    let long = now.since(silence.since) >= limits.silent_for;
    let said = format!(
        "已有 {} 笔付款靠查询才得知，{} 起没有收到一条有效的支付通知；请检查 public_url、\
         反向代理和证书，让微信能访问 /wx/pay/notify",
        silence.payments,
        silence.since.rfc3339()
    );
    (long && silence.payments >= limits.silent_payments)
        .then(|| Alert::new("notify_silence", 1, said))
}

fn differing(facts: &Facts) -> Option<Alert> {
    let (newest, _) = facts.differing.iter().max_by_key(|(day, _)| *day)?;
    let rows = facts.differing.iter();
    let open = rows.fold(0_u64, |sum, (_, open)| sum.saturating_add(*open));
    let days = facts.differing.len();
    let said = format!(
        "对账有 {open} 处差异待处理（{days} 天，最近 {newest}）；请在对账页逐条处理，\
         或执行 zhanggui reconcile --date {newest}"
    );
    Some(Alert::new("reconciliation", 1, said))
}

/// Told at 30 days, again at 7 and at 1.
fn ends_soon(kind: &'static str, ends_at: Timestamp, now: Timestamp) -> Option<Alert> {
    let left_s = ends_at.unix().saturating_sub(now.unix());
    let days = left_s.div_euclid(86_400);
    let grade = match days {
        ..1 => 3,
        1..7 => 2,
        7..30 => 1,
        30.. => return None,
    };
    let what = match kind {
        "tls" => "HTTPS 证书；请更新 [server.tls] 的证书，或检查 ACME 续期",
        "merchant_api" => "商户 API 证书；请到商户平台更换，并更新配置里的证书与序列号",
        "wechat_platform" => "微信支付平台证书；请检查 /v3/certificates 能否下载",
        _ => "证书；请更新",
    };
    let end = ends_at.rfc3339();
    let said = match left_s {
        ..=0 => format!("已于 {end} 过期：{what}"),
        _ => format!("还有 {days} 天（{end}）过期：{what}"),
    };
    Some(Alert::new("certificate", grade, said).about(&kind))
}

fn disk_low(facts: &Facts, limits: &AlertLimits) -> Option<Alert> {
    let free = facts.disk_free_bytes?;
    let grade = match free {
        free if free < limits.disk_free_bytes / 4 => 2,
        free if free < limits.disk_free_bytes => 1,
        _ => return None,
    };
    let said = format!(
        "数据目录所在磁盘只剩 {} MiB；写满后不能再收款，请清理或扩容",
        free >> 20
    );
    Some(Alert::new("disk_low", grade, said))
}

fn skewed(facts: &Facts, limits: &AlertLimits) -> Option<Alert> {
    let ahead_s = facts.skew_s?;
    let skew_s = ahead_s.unsigned_abs();
    if skew_s <= limits.clock_skew.as_secs() {
        return None;
    }
    let side = if ahead_s > 0 { "快" } else { "慢" };
    let (grade, more) = match skew_s {
        SKEW_FATAL_S.. => (2, "；超过 5 分钟，微信的签名会被判为过期"),
        _ => (1, ""),
    };
    let said =
        format!("本机时钟比微信{side} {skew_s} 秒{more}；请启用时间同步（chrony 或 timesyncd）");
    Some(Alert::new("clock_skew", grade, said))
}

fn undone(
    kind: &'static str,
    what: &str,
    (chore, remedy): (&Chore, &str),
    now: Timestamp,
) -> Option<Alert> {
    let late = now.since(chore.well_at) > chore.every.saturating_mul(2);
    let well_at = chore.well_at.rfc3339();
    let said = match &chore.failure {
        Some(why) => format!("{what}失败：{why}；{remedy}"),
        None if late => format!("{what}自 {well_at} 起没有完成；{remedy}"),
        None => return None,
    };
    let grade = if late { 2 } else { 1 };
    Some(Alert::new(kind, grade, said))
}

fn overdue(
    kind: &'static str,
    at: Timestamp,
    (limits, now): (&AlertLimits, Timestamp),
) -> Option<Alert> {
    let late = now.since(at);
    if late <= limits.overdue {
        return None;
    }
    let minutes = late.as_secs() / 60;
    let said = format!("后台任务 {kind} 已逾期 {minutes} 分钟；请看日志里的 \"后台任务出错\"");
    Some(Alert::new("due_overdue", 1, said).about(&kind))
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It began, or grew worse.
    Raised(Standing),
    /// It lasts, and was not told for a day.
    Lasting(Standing),
    /// It ended.
    Cleared(Standing),
}

impl News {
    /// Its state in one word, and the alert.
    pub fn parts(&self) -> (&'static str, &Standing) {
        match self {
            Self::Raised(standing) => ("raised", standing),
            Self::Lasting(standing) => ("lasting", standing),
            Self::Cleared(standing) => ("cleared", standing),
        }
    }
}

/// What is to be told now that `found` is wrong, where `standing` was told before, less what is
/// [`unknown`].
pub fn decide(standing: &[Standing], found: &[Alert], now: Timestamp) -> Vec<News> {
    let mut news: Vec<News> = found
        .iter()
        .filter_map(|alert| {
            let name = alert.name();
            let before = standing.iter().find(|standing| standing.name == name);
            let after = Standing {
                name,
                grade: alert.grade,
                since: before.map_or(now, |before| before.since),
                told_at: now,
                said: alert.said.clone(),
            };
            match before {
                None => Some(News::Raised(after)),
                Some(before) if alert.grade > before.grade => Some(News::Raised(after)),
                Some(before) if now.since(before.told_at) >= DAY => Some(News::Lasting(after)),
                Some(_) => None,
            }
        })
        .collect();
    let ended = standing
        .iter()
        .filter(|before| !found.iter().any(|alert| alert.name() == before.name));
    news.extend(ended.cloned().map(News::Cleared));
    news
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
