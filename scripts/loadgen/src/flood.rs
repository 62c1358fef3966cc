//! A flood of payment notifications: every order is placed, opened for payment at the simulator and
//! told as paid twice, and what was acknowledged is written down for `tally`.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::args::Args;
use crate::drive::{Phase, Use, address, drive, everything};
use crate::plan::{self, Flavour, Job, Placed};
use crate::wx::Account;
use crate::wx3::Signer;

/// Orders of one round: what is in memory at a time.
const ROUND: u64 = 10_000;
const USERS: usize = 500;
const GOODS: u64 = 1000;
/// How far behind the first telling the second one follows: some of both are in flight at once.
const LAG: usize = 24;

/// Who signs the notifications.
enum Signs {
    Md5(Account),
    Rsa(Box<Signer>),
    /// Orders only; nothing is paid.
    Nobody,
}

struct Flood {
    target: SocketAddr,
    simulator: SocketAddr,
    connections: usize,
    orders: u64,
    seed: u64,
    signs: Signs,
    book: BufWriter<File>,
}

/// `--target ADDR --simulator ADDR --orders N --book FILE --version v2|v3|none --api-key KEY …`
pub fn run(args: &Args) -> Result<(), String> {
    let text = |name: &str| args.text(name).unwrap_or("").to_owned();
    let signs = match args.require("version")? {
        "v2" => Signs::Md5(Account {
            appid: text("appid"),
            mchid: text("mchid"),
            key: text("v2-key"),
        }),
        "v3" => Signs::Rsa(Box::new(Signer::read(Path::new(args.require("account")?))?)),
        "none" => Signs::Nobody,
        other => return Err(format!("no version {other}")),
    };
    let book = OpenOptions::new()
        .create(true)
        .append(true)
        .open(args.require("book")?);
    let flood = Flood {
        target: address(args.require("target")?)?,
        simulator: address(args.require("simulator")?)?,
        connections: args.or("connections", 64)?,
        orders: args.or("orders", 1000)?,
        seed: args.or("seed", 0)?,
        signs,
        book: BufWriter::new(book.map_err(|e| e.to_string())?),
    };
    local(flood.all(args.text("api-key").unwrap_or("")))
}

fn local<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.map_err(|e| e.to_string())?, work)
}

impl Flood {
    async fn all(mut self, api_key: &str) -> Result<(), String> {
        if !api_key.is_empty() {
            let jobs = (1..=GOODS).map(|number| plan::article_job(number, api_key));
            // One connection: the numbers must rise with the prices.
            everything(jobs.collect(), 1, self.target, "id_is_a_number").await?;
        }
        let tokens = self.log_in().await?;
        let (began, mut notifies) = (Instant::now(), 0);
        let mut done = 0;
        while done < self.orders {
            let count = ROUND.min(self.orders - done);
            notifies += self.round(&tokens, self.seed + done, count).await?;
            done += count;
            eprintln!(
                "{done} orders, {notifies} notifications, {:?}",
                began.elapsed()
            );
        }
        self.book.flush().map_err(|e| e.to_string())?;
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{}",
            json!({"orders": done, "notifies": notifies, "seconds": seconds})
        );
        Ok(())
    }

    async fn log_in(&self) -> Result<Vec<String>, String> {
        let ask = (0..USERS).map(plan::login_code_job).collect();
        let codes = everything(ask, self.connections, self.simulator, "code").await?;
        let jobs = codes.iter().map(|code| plan::login_job(code)).collect();
        everything(jobs, self.connections, self.target, "token").await
    }

    /// Places `count` orders, and pays them; gives the notifications that were acknowledged.
    async fn round(&mut self, tokens: &[String], from: u64, count: u64) -> Result<usize, String> {
        let flavour = Flavour::Zhanggui;
        let order = |seed: u64| {
            let user = usize::try_from(seed).unwrap_or(0) % tokens.len();
            plan::order_job(flavour, user, &tokens[user], GOODS, seed)
        };
        let jobs: Vec<Job> = (from..from + count).map(order).collect();
        let numbers = self.everything(jobs.clone(), "order_no").await?;
        let placed: Vec<Placed> = numbers
            .into_iter()
            .zip(&jobs)
            .map(|(order_no, job)| Placed {
                user: job.user,
                order_no,
                total_fen: job.total_fen,
            })
            .collect();
        if matches!(self.signs, Signs::Nobody) {
            self.write_down(&placed, "pending")?;
            return Ok(0);
        }
        let pays = placed
            .iter()
            .map(|placed| plan::pay_job(placed, &tokens[placed.user]));
        self.everything(pays.collect(), "package").await?;
        let first = placed.iter().map(|placed| self.notify(placed));
        let first: Vec<Job> = first.collect::<Result<_, _>>()?;
        let told = twice(first);
        let count = told.len();
        self.everything(told, "").await?;
        // Every one was acknowledged, or the round would have failed.
        self.write_down(&placed, "paid")?;
        Ok(count)
    }

    async fn everything(&self, jobs: Vec<Job>, field: &'static str) -> Result<Vec<String>, String> {
        everything(jobs, self.connections, self.target, field).await
    }

    fn notify(&self, placed: &Placed) -> Result<Job, String> {
        match &self.signs {
            Signs::Md5(account) => Ok(plan::notify_job(placed, account)),
            Signs::Rsa(signer) => {
                let openid = plan::openid_of(placed.user);
                let request = signer.notify(&placed.order_no, placed.total_fen, &openid)?;
                Ok(plan::quiet_job(request, 204))
            }
            Signs::Nobody => Err("nobody signs".to_owned()),
        }
    }

    fn write_down(&mut self, placed: &[Placed], status: &str) -> Result<(), String> {
        for Placed {
            order_no,
            total_fen,
            ..
        } in placed
        {
            writeln!(self.book, "{order_no} {total_fen} {status}").map_err(|e| e.to_string())?;
        }
        self.book.flush().map_err(|e| e.to_string())
    }
}

/// Each job two times, the second some places behind the first.
fn twice(jobs: Vec<Job>) -> Vec<Job> {
    let (mut told, mut again) = (Vec::with_capacity(jobs.len() * 2), VecDeque::new());
    for job in jobs {
        again.push_back(job.clone());
        told.push(job);
        if again.len() > LAG {
            told.extend(again.pop_front());
        }
    }
    told.extend(again);
    told
}

/// `--target ADDR --api-key KEY --book FILE`: what was acknowledged is there, once.
pub fn tally(args: &Args) -> Result<(), String> {
    let book = File::open(args.require("book")?).map_err(|e| e.to_string())?;
    let lines = BufReader::new(book).lines().collect::<Result<Vec<_>, _>>();
    let lines = lines.map_err(|e| e.to_string())?;
    let (target, key) = (address(args.require("target")?)?, args.require("api-key")?);
    let jobs = lines.iter().filter_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [order_no, total_fen, status] = words[..] else {
            return None;
        };
        Some(plan::tally_job(order_no, total_fen, status, key))
    });
    let jobs: Vec<Job> = jobs.collect();
    if jobs.len() != lines.len() || jobs.is_empty() {
        return Err("the book cannot be read".to_owned());
    }
    let wanted = jobs.len() as u64;
    let now = Instant::now();
    let span = (now, now + Duration::from_secs(3600));
    let phase = Phase::new(jobs, Use::Once, span, Flavour::Zhanggui);
    let seen = local(async { Ok(drive(phase, 16, target, "").await) })?
        .seen
        .into_inner();
    let line: Value = json!({
        "acknowledged": wanted, "found": seen.done, "lost_or_wrong": wanted - seen.done,
        "first": seen.first_error,
    });
    println!("{line}");
    if seen.done == wanted {
        Ok(())
    } else {
        Err("what was acknowledged is not there".to_owned())
    }
}
