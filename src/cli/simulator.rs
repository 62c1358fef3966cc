//! `zhanggui sandbox`: the WeChat simulator alone.

use super::args::Sandbox;
use super::exit::Failure;
use super::serve::{Stop, block_on};
use super::tempdir::TempDir;
use super::{log, term};
use crate::base::Clock;
use crate::sandbox::{Credentials, start};

/// Runs the simulator until a signal comes; prints the `[wechat]` tables a server needs for it.
///
/// # Errors
/// [`Failure::Failed`] when the address is taken or the keys cannot be kept or read.
pub fn run(args: &Sandbox) -> Result<(), Failure> {
    let _log = log::start(log::LogFormat::Pretty, "info").map_err(Failure::Failed)?;
    block_on(async {
        let mut stop = Stop::listen()?;
        let (credentials, _kept) = credentials(args)?;
        let running = start(args.listen, Clock::system(), credentials).await;
        let running = running.map_err(|why| Failure::Failed(why.to_string()))?;
        let shop = running.sandbox().set_shop(&args.shop);
        shop.map_err(|why| Failure::Failed(why.message))?;
        running.sandbox().verify_with(args.verify);
        term::say(format!("# simulator {}", running.url()));
        term::say(running.sandbox().config_toml().trim_end());
        stop.wanted().await;
        running.stop().await;
        Ok(())
    })
}

/// The account, and the directory that goes with it when it was made up for this run only.
fn credentials(args: &Sandbox) -> Result<(Credentials, Option<TempDir>), Failure> {
    let failed = |why: crate::sandbox::CredentialsError| Failure::Failed(why.to_string());
    if let Some(dir) = &args.data {
        return Ok((Credentials::load_or_generate(dir).map_err(failed)?, None));
    }
    let dir = TempDir::new().map_err(|why| Failure::failed("无法建立临时目录", why))?;
    let mut credentials = Credentials::generate();
    credentials.save(dir.path()).map_err(failed)?;
    Ok((credentials, Some(dir)))
}
