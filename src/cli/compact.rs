//! `compact`: the working set of a stopped server, built anew from the journal.

use std::path::Path;

use super::bars::size;
use super::exit::Failure;
use super::{config, parts, serve, term};
use crate::base::Clock;
use crate::store::ask_rebuild;

/// `zhanggui compact`
///
/// # Errors
/// [`Failure::Failed`]: a server runs, or the store does not open.
pub fn run(path: &Path) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let data_dir = config.store.data_dir.clone();
    let failed = |why: crate::store::CopyError| Failure::failed("没有压缩", why);
    let before = ask_rebuild(&data_dir).map_err(failed)?;
    serve::block_on(async {
        let store = parts::open(&config, Clock::system()).await?;
        let closed = store.close().await;
        closed.map_err(|why| Failure::failed("存储没有正常关闭", why))
    })?;
    let after = crate::store::working_set_bytes(&data_dir);
    let after = after.map_err(|why| Failure::failed("读不了工作集的大小", why))?;
    term::say(format!(
        "工作集已从账本重建：{} → {}。登录凭证不在账本里，买家要重新登录",
        size(before),
        size(after)
    ));
    Ok(())
}
