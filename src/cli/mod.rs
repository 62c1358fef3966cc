//! Floor 5: arguments, config, wiring, signals, exit codes.
//!
//! [`run`] is the program: it reads the command line, does what it says and tells how it ended.

mod admin;
pub mod args;
pub mod backup;
mod bars;
mod certificates;
pub mod check;
pub mod compact;
pub mod config;
pub mod demo;
mod descriptors;
pub mod exit;
pub mod export;
pub mod follow;
pub mod init;
mod licenses;
pub mod log;
pub mod order;
pub(crate) mod parts;
pub mod reconcile;
pub mod restore;
pub mod serve;
pub mod simulator;
pub mod socket;
pub mod staff;
mod systemd;
pub mod tempdir;
pub mod term;
pub mod verify;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command, ExportCommand, KeyCommand, OrderCommand, WebhookCommand};
use exit::Failure;
use staff::Request;

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
    if arguments.licenses {
        return licenses::show();
    }
    let Some(command) = arguments.command else {
        let why = "缺少命令：zhanggui --help 列出全部命令 · a command is missing";
        return Err(Failure::Wrong(why.to_owned()));
    };
    match command {
        Command::Serve(args) => serve::run(config, args),
        Command::Demo(args) => demo::run(&args),
        Command::Sandbox(args) => simulator::run(&args),
        Command::Init(given) => init(config, *given),
        Command::Check => check::run(config, serve::environment()),
        Command::Admin(args) => admin::run(config, args.command),
        Command::Backup(args) => backup::run(config, &args.dest),
        Command::Restore(args) => restore::run(config, &args.source),
        Command::Verify(args) => verify::run(&args),
        Command::Compact => compact::run(config),
        Command::Export(args) => match args.command {
            ExportCommand::Orders(args) => export::orders(config, args),
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
