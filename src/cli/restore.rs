//! `restore`: a backup, or a copy of a data directory, into the data directory of the config.

use std::path::Path;

use super::bars::{Bars, size};
use super::config;
use super::exit::Failure;
use super::{serve, term};
use crate::store::{CopyError, OpenError, RestoreOrder, restore};

/// `zhanggui restore SRC`
///
/// # Errors
/// [`Failure::Failed`] with the reason, [`Failure::Wrong`] when `field_key` is another's.
pub fn run(path: &Path, source: &Path) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let data_dir = config.store.data_dir.clone();
    let order = RestoreOrder {
        source: source.to_owned(),
        data_dir: data_dir.clone(),
        field_key: config.store.field_key,
    };
    let bars = Bars::new();
    let done = restore(&order, &|reached| bars.show(reached));
    drop(bars);
    let restored = done.map_err(|why| match why {
        CopyError::Open(OpenError::WrongFieldKey) => Failure::Wrong(why.to_string()),
        why => Failure::failed("没有恢复", why),
    })?;
    term::say(format!(
        "已恢复到 {}：第 {} 笔提交（{}），{}",
        data_dir.display(),
        restored.commit,
        restored.commit_at.rfc3339(),
        size(restored.bytes)
    ));
    if restored.manifest.is_none() {
        term::say("来源没有 MANIFEST，按数据目录的拷贝恢复：它到开始拷贝的那一刻为止是完整的");
    }
    for name in &restored.left_out {
        term::complain(format!("这份拷贝在账本 {name} 之前断开了，没有采用它"));
    }
    term::say("登录凭证不在备份里，买家要重新登录。下一步：zhanggui serve");
    Ok(())
}
