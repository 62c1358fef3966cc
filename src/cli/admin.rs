//! `admin create`, `admin password`, `admin totp`.

use std::io::{BufRead as _, Read as _};
use std::path::Path;

use super::args::AdminCommand;
use super::exit::Failure;
use super::staff::{self, Request};
use super::{config, serve, term};

/// The longest password that is read.
const PASSWORD_MAX_BYTES: u64 = 1024;

/// Does what an `admin` command asks for.
///
/// # Errors
/// Those of the configuration and of the store, and what the shop refuses.
pub(super) fn run(path: &Path, command: AdminCommand) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    match command {
        AdminCommand::Create { name, .. } => {
            let done = format!("已新建管理员 {name}");
            let password = password()?;
            staff::ask(config, Request::AdminCreate { name, password })?;
            term::say(done);
        }
        AdminCommand::Password { name, .. } => {
            let done = format!("已更换 {name} 的密码，已登录的控制台全部退出");
            let password = password()?;
            staff::ask(config, Request::AdminPassword { name, password })?;
            term::say(done);
        }
        AdminCommand::Totp { name, off: true } => {
            let done = format!("已停用 {name} 的动态码");
            staff::ask(config, Request::AdminTotpOff { name })?;
            term::say(done);
        }
        AdminCommand::Totp { name, off: false } => {
            let enrolled = staff::ask(config, Request::AdminTotp { name })?;
            match enrolled["uri"].as_str() {
                Some(uri) => term::say(uri),
                None => return Err(Failure::Failed("服务器的回答里没有动态码密钥".to_owned())),
            }
        }
    }
    Ok(())
}

/// The first line of standard input, without its end.
fn password() -> Result<String, Failure> {
    let mut line = String::new();
    let mut input = std::io::stdin().lock().take(PASSWORD_MAX_BYTES + 1);
    let read = input.read_line(&mut line);
    read.map_err(|why| Failure::failed("读不了标准输入里的密码", why))?;
    if input.limit() == 0 {
        let why = format!("密码太长，最多 {PASSWORD_MAX_BYTES} 字节");
        return Err(Failure::Failed(why));
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
