//! The tools behind `scripts/bench`.
//!
//! `loadgen load …` drives a server over keep-alive connections and prints one JSON line a
//! scenario; `loadgen floor …` is raw hyper with constant answers; `loadgen disk …` asks the disk
//! how often it can fdatasync; `loadgen rsa …` what RSA costs. `loadgen flood …`
//! tells every order as paid twice, and `loadgen tally …` counts what of it is there.

mod args;
mod conn;
mod disk;
mod drive;
mod flood;
mod floor;
mod load;
mod meter;
mod plan;
mod rsa;
mod wx;
mod wx3;

use std::process::ExitCode;

use args::Args;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let run = Args::read(words).and_then(|args| match command.as_str() {
        "load" => load::run(&args),
        "floor" => floor::run(&args),
        "disk" => disk::run(&args),
        "rsa" => rsa::run(&args),
        "flood" => flood::run(&args),
        "tally" => flood::tally(&args),
        _ => Err("usage: loadgen load|floor|disk|rsa|flood|tally --name value …".to_owned()),
    });
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("loadgen: {why}");
            ExitCode::FAILURE
        }
    }
}
