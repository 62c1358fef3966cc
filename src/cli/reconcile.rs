//! `reconcile`: a day's bill against our orders, by the running server when there is one.
//!
//! A bill can take minutes and the admin socket's lines are short-lived: the server is told to
//! begin, and then looked at until it has ended.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Reconcile;
use super::config::{self, Config};
use super::exit::Failure;
use super::socket::{self, Reply};
use super::staff::Request;
use super::{serve, term};
use crate::base::Day;
use crate::routes::ReconciliationView;
use crate::shop::{Shop, ShopError};

/// The most rows of each class that are shown; the counts tell of all.
const ROWS_MAX: usize = 50;
/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often in a row it may have nothing to show for it.
const IDLE_MAX: u32 = 50;

/// `zhanggui reconcile --date YYYY-MM-DD [--json]`
///
/// # Errors
/// [`Failure::Failed`] when something differs, or the bill could not be compared.
pub fn run(path: &Path, args: &Reconcile) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let told = match ask(&config, &Request::Reconcile { day: args.date })? {
        Some(begun) => watch(&config, args.date, &begun)?,
        None => alone(config, args.date)?,
    };
    if args.json {
        term::say(&told);
    } else {
        table(&told).iter().for_each(term::say);
    }
    verdict(&told)
}

/// Has the server begin; gives back the run that was the newest then.
///
/// # Errors
/// Whatever forbids to reconcile the day.
pub(super) async fn begin(shop: &Arc<Shop>, day: Day) -> Result<Value, ShopError> {
    shop.may_reconcile(day)?;
    let before = shop.told_day(day, 0).await?;
    let shop = Arc::clone(shop);
    tokio::spawn(async move {
        // WeChat's failures are kept with the day; anything else is the server's to tell.
        if let Err(error) = shop.reconcile(day).await {
            tracing::error!(%day, %error, "对账没有做成");
        }
    });
    Ok(json!({ "run": before.map_or(0, |told| told.known.run) }))
}

/// How far the day has come.
///
/// # Errors
/// Store errors.
pub(super) async fn look(shop: &Arc<Shop>, day: Day) -> Result<Value, ShopError> {
    let running = shop.is_reconciling();
    let told = shop.told_day(day, ROWS_MAX).await?;
    let run = told.as_ref().map_or(0, |told| told.known.run);
    let told = told.map(ReconciliationView::from);
    Ok(json!({ "running": running, "run": run, "told": told }))
}

fn ask(config: &Config, request: &Request) -> Result<Option<Value>, Failure> {
    let asked = socket::ask(&config.store.data_dir, request);
    let asked = asked.map_err(|error| Failure::failed("服务器中途断开，请再试一次", error))?;
    match asked {
        None => Ok(None),
        Some(Reply::Ok(said)) => Ok(Some(said)),
        Some(Reply::Error(why)) => Err(Failure::Failed(why)),
    }
}

/// Looks until the run that was asked for has ended.
fn watch(config: &Config, day: Day, begun: &Value) -> Result<Value, Failure> {
    let before = begun["run"].as_u64().unwrap_or(0);
    let mut idle = 0;
    while idle < IDLE_MAX {
        std::thread::sleep(LOOK_EVERY);
        let Some(mut seen) = ask(config, &Request::ReconcileLook { day })? else {
            let why = "服务器已停止，对账可能没有做完";
            return Err(Failure::Failed(why.to_owned()));
        };
        let running = seen["running"] == json!(true);
        if seen["run"].as_u64().unwrap_or(0) > before && !running {
            return Ok(seen["told"].take());
        }
        idle = if running { 0 } else { idle + 1 };
    }
    let why = "对账没有做成，原因见服务器日志";
    Err(Failure::Failed(why.to_owned()))
}

/// Does it on the store itself: no server runs.
fn alone(config: Config, day: Day) -> Result<Value, Failure> {
    let done = serve::with_shop(config, async |shop| {
        let ended = shop.reconcile(day).await;
        match shop.told_day(day, ROWS_MAX).await {
            Ok(Some(told)) if ended.is_ok() || matches!(ended, Err(ShopError::Wechat(_))) => {
                Ok(json!(ReconciliationView::from(told)))
            }
            Ok(_) => Err(ended.err().map(|error| error.to_string())),
            Err(error) => Err(Some(error.to_string())),
        }
    })?;
    done.map_err(|why| Failure::Failed(why.unwrap_or_else(|| "没有这一天的对账".to_owned())))
}

fn table(told: &Value) -> Vec<String> {
    let count = |name: &str| told["counts"][name].as_u64().unwrap_or(0);
    let status = match told["status"].as_str() {
        Some("done") => "已完成",
        Some("waiting") => "等待账单",
        _ => "失败",
    };
    let date = told["date"].as_str().unwrap_or_default();
    let mut lines = vec![format!("{date} 对账{status}")];
    lines.extend(
        told["reason"]
            .as_str()
            .filter(|why| !why.is_empty())
            .map(str::to_owned),
    );
    lines.push(format!("  账单明细　　　　　{}", told["bill_rows"]));
    lines.push(format!("  两边一致　　　　　{}", told["matched"]));
    let classes = [
        ("missing_local", "微信有、本地没有　"),
        ("missing_wechat", "本地有、微信没有　"),
        ("amount_differs", "金额不同　　　　　"),
    ];
    for (class, title) in classes {
        lines.push(format!("  {title}{}", count(class)));
        let rows = told[class]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        lines.extend(rows.iter().map(row));
        let shown = u64::try_from(rows.len()).unwrap_or(0);
        if shown < count(class) {
            lines.push(format!("    …… 另有 {} 行", count(class) - shown));
        }
    }
    lines.push(format!("  已处理　　　　　　{}", count("settled")));
    lines.push(format!("  待处理　　　　　　{}", count("open")));
    lines
}

fn row(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let money = |name: &str| match row[name].as_u64() {
        Some(fen) => format!("{} 元", crate::base::Fen::new(fen)),
        None => "—".to_owned(),
    };
    let refund = match row["refund_no"].as_str() {
        Some(number) => format!(" 退款 {number}"),
        None => String::new(),
    };
    let settled = if row["settled"].is_null() {
        ""
    } else {
        "（已处理）"
    };
    format!(
        "    {}{refund} 本地 {} 微信 {} {}{settled}",
        text("out_trade_no"),
        money("local_fen"),
        money("wechat_fen"),
        text("reason"),
    )
}

fn verdict(told: &Value) -> Result<(), Failure> {
    let open = told["counts"]["open"].as_u64().unwrap_or(0);
    match (told["status"].as_str(), open) {
        (Some("done"), 0) => Ok(()),
        (Some("done"), open) => Err(Failure::Failed(format!("有 {open} 行差异待处理"))),
        _ => Err(Failure::Failed("对账没有完成".to_owned())),
    }
}
