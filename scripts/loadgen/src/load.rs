//! The closed loop: each connection sends its next request as soon as the last is answered.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::{LocalSet, spawn_local};

use crate::args::Args;
use crate::conn::Conn;
use crate::meter::{cpu_s, percentile_us, rss_mib};
use crate::plan::{self, Flavour, Job, Kind, Placed};
use crate::wx::Account;

/// What the command line says.
struct Load {
    target: SocketAddr,
    simulator: Option<SocketAddr>,
    flavour: Flavour,
    pid: Option<u32>,
    connections: usize,
    warm: Duration,
    span: Duration,
    users: usize,
    goods: u64,
    account: Account,
    api_key: String,
    /// Whether to end after `pay`: what follows needs v2's key.
    until_pay: bool,
}

/// Whether a phase may send a job again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Once,
    Again,
}

/// What all connections of a phase share.
struct Phase {
    jobs: Vec<Job>,
    reuse: Use,
    flavour: Flavour,
    next: Cell<usize>,
    from: Instant,
    until: Instant,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    took_us: Vec<u32>,
    done: u64,
    body_bytes: u64,
    errors: u64,
    first_error: Option<String>,
    /// By job: the answers that the next phase builds on.
    kept: Vec<(usize, String)>,
}

/// `--target ADDR --flavour zhanggui|peer|floor [--simulator ADDR] [--pid PID] …`
pub fn run(args: &Args) -> Result<(), String> {
    let load = Load::read(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    LocalSet::new().block_on(&runtime, load.all())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.trim_start_matches("http://").trim_end_matches('/');
    let address: SocketAddr = bare.parse().map_err(|_| format!("{text}: no address"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{text}: loopback only"))
    }
}

/// What a phase took: seconds of the wall, seconds of the server's CPU, its memory after.
struct Spent {
    elapsed: f64,
    cpu: f64,
    rss_mib: f64,
}

impl Load {
    fn read(args: &Args) -> Result<Self, String> {
        let text = |name: &str| args.text(name).unwrap_or("").to_owned();
        Ok(Self {
            target: address(args.require("target")?)?,
            simulator: args.text("simulator").map(address).transpose()?,
            flavour: match args.require("flavour")? {
                "zhanggui" => Flavour::Zhanggui,
                "peer" => Flavour::Peer,
                "floor" => Flavour::Floor,
                other => return Err(format!("no flavour {other}")),
            },
            pid: args.text("pid").and_then(|pid| pid.parse().ok()),
            connections: args.or("connections", 64)?,
            warm: Duration::from_secs_f64(args.or("warm", 1.0)?),
            span: Duration::from_secs_f64(args.or("seconds", 5.0)?),
            users: args.or("users", 500)?,
            goods: args.or("goods", 1000)?,
            account: Account {
                appid: text("appid"),
                mchid: text("mchid"),
                key: text("v2-key"),
            },
            api_key: text("api-key"),
            until_pay: args.text("until") == Some("pay"),
        })
    }

    async fn all(&self) -> Result<(), String> {
        self.stock_the_shelves().await?;
        let tokens = self.log_everyone_in().await?;
        let again = |jobs| (jobs, Use::Again);
        let token = tokens
            .iter()
            .map(|token| plan::token_job(self.flavour, token));
        self.measure(Kind::Token, again(token.collect())).await?;
        let codes = self.codes(self.login_count()).await?;
        let logins = codes.iter().map(|code| plan::login_job(code)).collect();
        self.measure(Kind::Login, (logins, Use::Once)).await?;
        // A user keeps 20 tokens: those logins ended the ones from before.
        let tokens = self.log_everyone_in().await?;

        let orders: Vec<Job> = (0..20_000).map(|seed| self.order(&tokens, seed)).collect();
        let placed = self.measure(Kind::Order, again(orders.clone())).await?;
        let placed: Vec<Placed> = placed
            .into_iter()
            .map(|(job, order_no)| Placed {
                user: orders[job].user,
                order_no,
                total_fen: orders[job].total_fen,
            })
            .collect();
        let pays = placed
            .iter()
            .map(|placed| plan::pay_job(placed, &tokens[placed.user]));
        let paid = self.measure(Kind::Pay, (pays.collect(), Use::Once)).await?;
        if self.until_pay {
            return Ok(());
        }
        let paid = paid.iter().map(|(job, _)| &placed[*job]);
        let notifies = paid
            .map(|placed| plan::notify_job(placed, &self.account))
            .collect();
        self.measure(Kind::Notify, (notifies, Use::Once)).await?;
        let list = tokens.iter().map(|token| plan::list_job(token)).collect();
        self.measure(Kind::List, again(list)).await?;
        Ok(())
    }

    fn order(&self, tokens: &[String], seed: u64) -> Job {
        let user = seed as usize % tokens.len();
        plan::order_job(self.flavour, user, &tokens[user], self.goods, seed)
    }

    /// More logins than any server will manage in the time.
    fn login_count(&self) -> usize {
        ((self.warm + self.span).as_secs_f64() * 12_000.0) as usize
    }

    /// Puts the articles on sale; peers come with theirs.
    async fn stock_the_shelves(&self) -> Result<(), String> {
        if self.flavour != Flavour::Zhanggui {
            return Ok(());
        }
        let article = |number: u64| {
            let price = plan::price_fen(number);
            let body =
                format!(r#"{{"title":"商品 {number}","price_fen":{price},"stock":1000000000}}"#);
            let request = plan::post("/admin/v1/goods", &self.api_key, &body);
            let holds = format!("\"id\":{number},");
            Job {
                request,
                status: 201,
                holds,
                times: 1,
                user: 0,
                total_fen: 0,
            }
        };
        let jobs = (1..=self.goods).map(article).collect();
        // One connection: the numbers must rise with the prices.
        self.everything(jobs, 1, self.target, "").await.map(drop)
    }

    async fn log_everyone_in(&self) -> Result<Vec<String>, String> {
        if self.flavour == Flavour::Floor {
            return Ok(vec!["0".repeat(32); self.users]);
        }
        let codes = self.codes(self.users).await?;
        let jobs = codes.iter().map(|code| plan::login_job(code)).collect();
        self.everything(jobs, self.connections, self.target, "token")
            .await
    }

    /// Fresh codes of wx.login, for the users in turn.
    async fn codes(&self, count: usize) -> Result<Vec<String>, String> {
        let users = (0..count).map(|at| at % self.users);
        let Some(simulator) = self.simulator else {
            return Ok(users.map(plan::code_of).collect());
        };
        let ask = |user| {
            let body = format!(r#"{{"openid":"{}"}}"#, plan::openid_of(user));
            let request = plan::post("/sandbox/login-codes", "", &body);
            let holds = "\"code\"".to_owned();
            Job {
                request,
                status: 200,
                holds,
                times: 1,
                user: 0,
                total_fen: 0,
            }
        };
        self.everything(
            users.map(ask).collect(),
            self.connections,
            simulator,
            "code",
        )
        .await
    }

    /// Does every job once, unmeasured; gives the named field of each answer, in the jobs' order.
    async fn everything(
        &self,
        jobs: Vec<Job>,
        connections: usize,
        to: SocketAddr,
        field: &'static str,
    ) -> Result<Vec<String>, String> {
        let now = Instant::now();
        let until = now + Duration::from_secs(600);
        let phase = Phase::new(jobs, Use::Once, (now, until), Flavour::Zhanggui);
        let phase = drive(phase, connections, to, field).await;
        let seen = phase.seen.into_inner();
        if let Some(error) = seen.first_error {
            return Err(format!("setting up: {error}"));
        }
        let mut kept = seen.kept;
        kept.sort_unstable();
        Ok(kept.into_iter().map(|(_, value)| value).collect())
    }

    /// Runs one scenario and prints its line; gives the answers the next one builds on.
    async fn measure(
        &self,
        kind: Kind,
        (jobs, reuse): (Vec<Job>, Use),
    ) -> Result<Vec<(usize, String)>, String> {
        if jobs.is_empty() {
            return Err(format!("nothing to do for {}", kind.name()));
        }
        // Constant answers can be asked for again and again.
        let reuse = if self.flavour == Flavour::Floor {
            Use::Again
        } else {
            reuse
        };
        // What can be done once only is all measured: the server is warm from what came before.
        let warm = if reuse == Use::Once {
            Duration::ZERO
        } else {
            self.warm
        };
        let from = Instant::now() + warm;
        let phase = Phase::new(jobs, reuse, (from, from + self.span), self.flavour);
        let field = match kind {
            Kind::Order if self.flavour != Flavour::Floor => "order_no",
            Kind::Pay if self.flavour != Flavour::Floor => "package",
            _ => "",
        };
        let pid = self.pid;
        let cpu_before = spawn_local(async move {
            tokio::time::sleep_until(from.into()).await;
            cpu_s(pid)
        });
        let phase = drive(phase, self.connections, self.target, field).await;
        let elapsed = from.elapsed().as_secs_f64();
        let cpu_before = cpu_before.await.map_err(|e| e.to_string())?;
        let spent = Spent {
            elapsed,
            cpu: cpu_s(pid) - cpu_before,
            rss_mib: rss_mib(pid),
        };
        let mut seen = phase.seen.into_inner();
        println!("{}", seen.line(kind, &spent)?);
        if self.flavour == Flavour::Floor {
            let made_up = |job| (job, format!("FLOOR{job:015}"));
            return Ok((0..phase.jobs.len().min(20_000)).map(made_up).collect());
        }
        Ok(seen.kept)
    }
}

impl Seen {
    /// The line of a scenario: what was done, how long it took, what it cost.
    fn line(&mut self, kind: Kind, spent: &Spent) -> Result<Value, String> {
        let requests = self.took_us.len();
        if requests == 0 {
            let why = self.first_error.as_deref().unwrap_or("no work left");
            return Err(format!("{}: {why}", kind.name()));
        }
        let each = 1.0 / requests as f64;
        Ok(json!({
            "scenario": kind.name(),
            "requests": requests,
            "with_warming": self.done,
            "per_s": requests as f64 / spent.elapsed,
            "p50_us": percentile_us(&mut self.took_us, 50),
            "p99_us": percentile_us(&mut self.took_us, 99),
            "cpu_us": spent.cpu * 1e6 * each,
            "cpu_share": spent.cpu / spent.elapsed,
            "rss_mib": spent.rss_mib,
            "body_bytes": self.body_bytes as f64 * each,
            "errors": self.errors,
            "first_error": self.first_error,
        }))
    }
}

impl Phase {
    fn new(
        jobs: Vec<Job>,
        reuse: Use,
        (from, until): (Instant, Instant),
        flavour: Flavour,
    ) -> Self {
        let (next, seen) = (Cell::new(0), RefCell::default());
        Self {
            jobs,
            reuse,
            flavour,
            next,
            from,
            until,
            seen,
        }
    }

    /// The number of the next job, until the time or the work is over.
    fn take(&self) -> Option<usize> {
        let number = self.next.get();
        let used_up = self.reuse == Use::Once && number >= self.jobs.len();
        if used_up || Instant::now() >= self.until {
            return None;
        }
        self.next.set(number + 1);
        Some(number % self.jobs.len())
    }
}

/// Works on a phase over `connections` connections until it is over.
async fn drive(phase: Phase, connections: usize, to: SocketAddr, field: &'static str) -> Phase {
    let phase = Rc::new(phase);
    let workers: Vec<_> = (0..connections)
        .map(|_| spawn_local(work(Rc::clone(&phase), to, field)))
        .collect();
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    Rc::into_inner(phase).expect("every worker is done")
}

async fn work(phase: Rc<Phase>, to: SocketAddr, field: &'static str) {
    let mut connection = Conn::new(to);
    while let Some(number) = phase.take() {
        let job = &phase.jobs[number];
        let start = Instant::now();
        let answer = connection.send(&job.request).await;
        let took_us = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
        let mut seen = phase.seen.borrow_mut();
        let fault = match &answer {
            Ok((status, body)) => job.fault(phase.flavour, *status, body),
            Err(e) => Some(e.to_string()),
        };
        if let Some(fault) = fault {
            seen.errors += 1;
            seen.first_error.get_or_insert(fault);
            continue;
        }
        let body = answer.map_or(&[][..], |(_, body)| body);
        if let Some(value) = plan::field(body, field).filter(|_| !field.is_empty()) {
            seen.kept.push((number, value.to_owned()));
        }
        seen.done += 1;
        if start >= phase.from {
            seen.took_us.push(took_us);
            seen.body_bytes += body.len() as u64;
        }
    }
}
