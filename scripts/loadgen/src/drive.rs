//! A phase of a load: jobs over so many connections, each of which sends its next request as soon
//! as the last is answered.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::spawn_local;

use crate::conn::Conn;
use crate::meter::percentile_us;
use crate::plan::{self, Flavour, Job, Kind};

/// Whether a phase may send a job again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Once,
    Again,
}

/// What all connections of a phase share.
pub struct Phase {
    pub jobs: Vec<Job>,
    pub reuse: Use,
    pub flavour: Flavour,
    pub next: Cell<usize>,
    pub from: Instant,
    pub until: Instant,
    pub seen: RefCell<Seen>,
}

#[derive(Default)]
pub struct Seen {
    pub took_us: Vec<u32>,
    pub done: u64,
    pub body_bytes: u64,
    pub errors: u64,
    pub first_error: Option<String>,
    /// By job: the answers that the next phase builds on.
    pub kept: Vec<(usize, String)>,
}

/// What a phase took: seconds of the wall, seconds of the server's CPU, its memory after.
pub struct Spent {
    pub elapsed: f64,
    pub cpu: f64,
    pub rss_mib: f64,
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.trim_start_matches("http://").trim_end_matches('/');
    let address: SocketAddr = bare.parse().map_err(|_| format!("{text}: no address"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{text}: loopback only"))
    }
}

/// Does every job once, unmeasured; gives the named field of each answer, in the jobs' order.
pub async fn everything(
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

impl Seen {
    /// The line of a scenario: what was done, how long it took, what it cost.
    pub fn line(&mut self, kind: Kind, spent: &Spent) -> Result<Value, String> {
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
    pub fn new(
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
pub async fn drive(phase: Phase, connections: usize, to: SocketAddr, field: &'static str) -> Phase {
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
