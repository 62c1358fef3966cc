//! The closed loop: each connection sends its next request as soon as the last is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::{LocalSet, spawn_local};

use crate::args::Args;
use crate::drive::{Phase, Spent, Use, address, drive, everything};
use crate::meter::{cpu_s, rss_mib};
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

/// `--target ADDR --flavour zhanggui|peer|floor [--simulator ADDR] [--pid PID] …`
pub fn run(args: &Args) -> Result<(), String> {
    let load = Load::read(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    LocalSet::new().block_on(&runtime, load.all())
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
        let article = |number| plan::article_job(number, &self.api_key);
        let jobs = (1..=self.goods).map(article).collect();
        // One connection: the numbers must rise with the prices.
        everything(jobs, 1, self.target, "").await.map(drop)
    }

    async fn log_everyone_in(&self) -> Result<Vec<String>, String> {
        if self.flavour == Flavour::Floor {
            return Ok(vec!["0".repeat(32); self.users]);
        }
        let codes = self.codes(self.users).await?;
        let jobs = codes.iter().map(|code| plan::login_job(code)).collect();
        everything(jobs, self.connections, self.target, "token").await
    }

    /// Fresh codes of wx.login, for the users in turn.
    async fn codes(&self, count: usize) -> Result<Vec<String>, String> {
        let users = (0..count).map(|at| at % self.users);
        let Some(simulator) = self.simulator else {
            return Ok(users.map(plan::code_of).collect());
        };
        everything(
            users.map(plan::login_code_job).collect(),
            self.connections,
            simulator,
            "code",
        )
        .await
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
