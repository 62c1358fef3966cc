//! `backup`: by the running server when there is one, else by this command itself.
//!
//! The server writes the copy, and is looked at until it has ended: however long that takes, no
//! line on the admin socket is long-lived.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bars::{Bars, size};
use super::config::{self, Config};
use super::exit::Failure;
use super::socket::{self, Reply};
use super::staff::Request;
use super::{serve, term};
use crate::base::Clock;
use crate::shop::backups::{BackupProgress, BackupTarget};
use crate::shop::{Shop, ShopError};
use crate::store::{BackupOrder, Doing, Manifest, Onlooker, Reached, back_up_stopped};

/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `zhanggui backup DEST`
///
/// # Errors
/// [`Failure::Failed`] with the reason; nothing is left at DEST then.
pub fn run(path: &Path, dest: &Path) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let absolute = std::path::absolute(dest);
    let dest = absolute.map_err(|why| Failure::failed("备份目录有误", why))?;
    let bars = Bars::new();
    let request = Request::Backup { dest: dest.clone() };
    let made = match ask(&config, &request)? {
        Some(begun) => watch(&config, &begun, &bars)?,
        None => alone(&config, dest.clone(), &bars)?,
    };
    drop(bars);
    term::say(format!(
        "已备份到 {}：第 {} 笔提交（{}），{} 个文件 {}，已逐个读回核对",
        dest.display(),
        made.commit,
        made.commit_at,
        made.files,
        size(made.bytes)
    ));
    Ok(())
}

/// A finished backup, as the server tells it.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    commit: u64,
    commit_at: String,
    files: usize,
    bytes: u64,
}

impl From<&Manifest> for Made {
    fn from(manifest: &Manifest) -> Self {
        Self {
            commit: manifest.commit,
            commit_at: manifest.commit_at.rfc3339(),
            files: manifest.files.len(),
            bytes: manifest.bytes(),
        }
    }
}

/// Has the server begin; gives back the backup's name.
///
/// # Errors
/// What forbids it to begin.
pub(super) async fn begin(shop: &Arc<Shop>, dest: PathBuf) -> Result<Value, ShopError> {
    let id = shop.start_backup(BackupTarget::Path(dest)).await?;
    Ok(json!({ "id": id }))
}

/// How far a backup has come.
pub(super) fn look(shop: &Shop, id: &str) -> Value {
    match shop.backup_progress(id) {
        Some(BackupProgress::Running(Reached { doing, done, of })) => {
            json!({ "running": [doing_word(doing), done, of] })
        }
        Some(BackupProgress::Done(manifest)) => json!({ "done": Made::from(&manifest) }),
        Some(BackupProgress::Failed(why)) => json!({ "failed": why }),
        None => json!({ "failed": "服务器不知道这次备份" }),
    }
}

const DOING: [(&str, Doing); 3] = [
    ("copy", Doing::Copy),
    ("journal", Doing::Journal),
    ("sums", Doing::Sums),
];

fn doing_word(doing: Doing) -> &'static str {
    let row = DOING.iter().find(|(_, known)| *known == doing);
    row.map_or("copy", |(word, _)| word)
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

fn watch(config: &Config, begun: &Value, bars: &Bars) -> Result<Made, Failure> {
    let id = begun["id"].as_str().unwrap_or_default().to_owned();
    loop {
        std::thread::sleep(LOOK_EVERY);
        let Some(mut seen) = ask(config, &Request::BackupLook { id: id.clone() })? else {
            let why = "服务器已停止，没有留下备份；请再来一次";
            return Err(Failure::Failed(why.to_owned()));
        };
        if let Some(why) = seen["failed"].as_str() {
            return Err(Failure::Failed(format!(
                "备份没有做成（由服务器进程写）：{why}"
            )));
        }
        if !seen["done"].is_null() {
            let made = serde_json::from_value(seen["done"].take());
            return made.map_err(|why| Failure::failed("服务器的回答看不懂", why));
        }
        let running = &seen["running"];
        let doing = DOING.iter().find(|(word, _)| running[0] == *word);
        if let (Some((_, doing)), Some(done), Some(of)) =
            (doing, running[1].as_u64(), running[2].as_u64())
        {
            let doing = *doing;
            bars.show(Reached { doing, done, of });
        }
    }
}

/// Does it on the stopped store.
fn alone(config: &Config, dest: PathBuf, bars: &Bars) -> Result<Made, Failure> {
    let order = BackupOrder {
        data_dir: config.store.data_dir.clone(),
        dest,
        now: Clock::system().now(),
        reach: 0,
    };
    let watch = Onlooker {
        progress: &|reached| bars.show(reached),
        stop: &AtomicBool::new(false),
    };
    let done = back_up_stopped(&order, watch);
    let manifest = done.map_err(|why| Failure::failed("备份没有做成", why))?;
    Ok(Made::from(&manifest))
}
