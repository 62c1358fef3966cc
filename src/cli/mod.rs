//! Floor 5: arguments, config, wiring, signals, exit codes.
//!
//! [`run`] is the program: it reads the command line, does what it says and tells how it ended.

pub mod args;
pub mod check;
pub mod config;
pub mod demo;
pub mod exit;
pub mod follow;
pub mod init;
pub mod log;
pub mod order;
pub(crate) mod parts;
pub mod reconcile;
pub mod serve;
pub mod simulator;
pub mod socket;
pub mod staff;
mod systemd;
pub mod tempdir;
pub mod term;

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use args::{AdminCommand, Arguments, Command, KeyCommand, OrderCommand, WebhookCommand};
use exit::Failure;
use staff::Request;

/// The longest password that is read.
const PASSWORD_MAX_BYTES: u64 = 1024;

/// Runs the program that the command line asks for.
pub fn run() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => exit::code(carry_out(arguments)),
        Err(said) => {
            // Help goes to stdout with 0, wrong usage to stderr with 2; a closed pipe is no matter.
            let _ = said.print();
            ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2))
        }
    }
}

fn carry_out(arguments: Arguments) -> Result<(), Failure> {
    let config = &arguments.config;
    match arguments.command {
        Command::Serve(args) => serve::run(config, args),
        Command::Demo(args) => demo::run(&args),
        Command::Sandbox(args) => simulator::run(&args),
        Command::Init(given) => init(config, *given),
        Command::Check => check::run(config, serve::environment()),
        Command::Admin(args) => match args.command {
            AdminCommand::Create { name, .. } => create_admin(config, &name),
        },
        Command::Reconcile(args) => reconcile::run(config, &args),
        Command::Key(args) => match args.command {
            KeyCommand::Create { name } => create_key(config, name),
        },
        Command::Webhook(args) => match args.command {
            WebhookCommand::Replay { id } => replay_webhook(config, id),
        },
        Command::Order(args) => match args.command {
            OrderCommand::Show { order_no, json } => {
                let form = if json {
                    order::Form::Json
                } else {
                    order::Form::Text
                };
                order::show(config, order_no, form)
            }
        },
    }
}

fn init(path: &Path, given: args::Init) -> Result<(), Failure> {
    let mut stdin = std::io::stdin().lock();
    let answers: init::Answers<'_> = if stdin.is_terminal() {
        Some(&mut stdin)
    } else {
        None
    };
    init::run(path, given, answers)
}

fn create_admin(path: &Path, name: &str) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let password = password()?;
    staff::ask(
        config,
        Request::AdminCreate {
            name: name.to_owned(),
            password,
        },
    )?;
    term::say(format!("已新建管理员 {name}"));
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

fn replay_webhook(path: &Path, id: u64) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    staff::ask(config, Request::WebhookReplay { id })?;
    term::say(format!(
        "webhook 端点 {id} 已重新启用，运行中的服务会补发它错过的"
    ));
    Ok(())
}

fn create_key(path: &Path, name: String) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let created = staff::ask(config, Request::KeyCreate { name })?;
    match created["key"].as_str() {
        Some(key) => term::say(key),
        None => return Err(Failure::Failed("服务器的回答里没有密钥".to_owned())),
    }
    Ok(())
}
