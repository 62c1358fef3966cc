//! One history's world: a clock, a machine with a disk, WeChat, the shop that lives and dies on the
//! machine, the wires between them, and what is written down of it all.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::Value;

use super::ask::Answer;
use super::ledger::Ledger;
use super::life::{CALLER, Life};
use super::random::Random;
use super::weather::{Mishap, Weather, Wires};
use crate::base::{Clock, Timestamp, trial};
use crate::cli::{config, parts};
use crate::sandbox::{self, Credentials, Sandbox, VerifyMode};
use crate::shop::jobs;
use crate::store::{Machine, StartFault};
use crate::web::local::{Local, Wire};
use crate::web::{Client, Incoming, Method, Outgoing, Router};

/// The longest that a group waits before it is written.
const WRITE_WITHIN_MS: u64 = 4;
/// How often the simulator looks for what it has to send.
const WECHAT_TICK: Duration = Duration::from_millis(250);
/// The earliest that a history begins: 2026-01-01T09:00:00+08:00.
const BEGINS: i64 = 1_767_229_200;

/// See the module.
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) machine: Machine,
    pub(super) ledger: Mutex<Ledger>,
    sandbox: Arc<Sandbox>,
    wechat: Local<Sandbox>,
    life: Mutex<Option<Arc<Life>>>,
    /// What the shop verifies WeChat with.
    pub(super) verifies: VerifyMode,
    /// Where bills are spooled.
    spool: tempfile::TempDir,
    random: Mutex<Random>,
    weather: Mutex<Weather>,
    history: Mutex<Vec<String>>,
    broken: Mutex<Option<String>>,
}

/// The accounts at WeChat, the same for every history: RSA keys take long to make.
struct Account {
    credentials: Credentials,
    _dir: tempfile::TempDir,
}

fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let mut credentials = Credentials::generate();
        credentials.save(dir.path()).unwrap();
        Account {
            credentials,
            _dir: dir,
        }
    })
}

/// Makes what all histories share, before any of them draws from its seed.
pub(super) fn prepare() {
    account();
}

impl World {
    /// The world of `seed`, with no shop in it yet.
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let mut random = Random::new(seed);
        let at = BEGINS + i64::try_from(random.below(40 * 3600)).expect("small");
        let clock = Clock::simulated(Timestamp::from_unix(at));
        let modes = [
            VerifyMode::PublicKey,
            VerifyMode::PublicKey,
            VerifyMode::PublicKey,
            VerifyMode::PublicKey,
            VerifyMode::Certificate,
            VerifyMode::Both,
        ];
        let verifies = *random.pick(&modes);
        trial::met(format!("history verifies with {verifies}"));
        Arc::new_cyclic(|world: &Weak<Self>| {
            let client = Client::in_process(wire(world, Wires::FromWechat, None));
            let credentials = account().credentials.clone();
            let sandbox = Sandbox::in_process(clock.clone(), credentials, client);
            sandbox.verify_with(verifies);
            let sandbox = Arc::new(sandbox);
            let router = Router::new(sandbox::routes());
            Self {
                wechat: Local::new(router, Arc::clone(&sandbox), clock.clone()),
                sandbox,
                machine: Machine::new(seed),
                clock,
                ledger: Mutex::default(),
                life: Mutex::default(),
                verifies,
                spool: tempfile::tempdir().expect("a place for bills"),
                random: Mutex::new(random),
                weather: Mutex::default(),
                history: Mutex::default(),
                broken: Mutex::default(),
            }
        })
    }

    pub(super) fn random(&self) -> MutexGuard<'_, Random> {
        self.random.lock().unwrap()
    }

    pub(super) fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(super) fn life(&self) -> Option<Arc<Life>> {
        self.life.lock().unwrap().clone()
    }

    /// Writes one line into the history.
    pub(super) fn note(&self, line: impl Into<String>) {
        let at = self.clock.now_ms() - BEGINS * 1000;
        let (s, ms) = (at.div_euclid(1000), at.rem_euclid(1000));
        let line = format!("{s:>7}.{ms:03} {}", line.into());
        self.history.lock().unwrap().push(line);
    }

    pub(super) fn take_history(&self) -> Vec<String> {
        std::mem::take(&mut self.history.lock().unwrap())
    }

    /// Notes that a promise is broken; the first one counts.
    pub(super) fn broke(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(format!("BROKEN {what}"));
        self.broken.lock().unwrap().get_or_insert(what);
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap().clone()
    }

    pub(super) fn mishap(&self, on: Wires) -> Mishap {
        let mut random = self.random();
        self.weather().mishap(on, &mut random)
    }

    /// Runs `work` beside everything else; it outlives the shop.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(work);
    }

    /// Lets WeChat do what it does by itself.
    pub(super) fn let_wechat_work(&self) {
        let sandbox = Arc::clone(&self.sandbox);
        self.spawn(async move {
            loop {
                sandbox.do_due().await;
                tokio::time::sleep(WECHAT_TICK).await;
            }
        });
    }

    pub(super) async fn to_wechat(&self, request: Outgoing) -> Incoming {
        self.wechat.call(request, CALLER).await
    }

    /// Asks one of the simulator's own routes, or plays the WeChat app of a buyer.
    pub(super) async fn at_wechat(&self, method: Method, path: &str, body: &Value) -> Answer {
        let body = match body {
            Value::Null => vec![],
            body => body.to_string().into_bytes(),
        };
        let request = Outgoing {
            method,
            url: format!("http://127.0.0.1:1{path}"),
            headers: vec![],
            body,
        };
        Answer::of(&self.to_wechat(request).await)
    }

    /// Starts the shop on what the machine's disk holds.
    pub(super) fn start(self: &Arc<Self>) -> Result<(), StartFault> {
        let (store, writer) = self.machine.start(&self.clock)?;
        let version = *self.random().pick(&["v2", "v3"]);
        let gone = Arc::default();
        let client = Client::in_process(wire(&Arc::downgrade(self), Wires::ToWechat, Some(&gone)));
        let config = self.config(version);
        let shop = parts::over(store.clone(), client, config, self.clock.clone());
        let shop = shop.unwrap_or_else(|_| panic!("a shop of a good configuration"));
        let life = Arc::new(Life::new(Arc::clone(&shop), store, self.clock.clone()));
        let world = Arc::downgrade(self);
        let pause = move || match world.upgrade() {
            Some(world) => world.random().within_ms(WRITE_WITHIN_MS),
            None => Duration::ZERO,
        };
        life.run(writer.run(pause));
        life.run(jobs::run(shop, std::future::pending()));
        *gone.lock().unwrap() = Arc::downgrade(&life);
        *self.life.lock().unwrap() = Some(life);
        self.note(format!("the shop starts, new attempts in {version}"));
        Ok(())
    }

    /// Ends the shop at the step it is at.
    pub(super) fn end(&self) {
        let life = self.life.lock().unwrap().take();
        if let Some(life) = life {
            life.end();
        }
    }

    fn config(&self, version: &str) -> config::Config {
        let text = format!(
            "[server]\npublic_url = \"http://127.0.0.1:2\"\n\
             [store]\ndata_dir = \"{}\"\nfield_key = \"{}\"\n\
             [token]\nsalt = \"0123456789abcdef\"\n\
             [limits]\nlogin_per_minute_per_ip = 1000000\n\
             requests_per_minute_per_token = 1000000\n{}",
            self.spool.path().display(),
            BASE64.encode(b"0123456789abcdef0123456789abcdef"),
            self.sandbox.config_toml(),
        );
        let version = (
            "ZHANGGUI_WECHAT__PAY__VERSION".to_owned(),
            version.to_owned(),
        );
        config::parse(&text, std::iter::once(version)).expect("a good configuration")
    }
}

/// The life that a wire belongs to, once it is there.
type Owner = Arc<Mutex<Weak<Life>>>;

/// A wire of `world`. What a life that ended still had to say is never heard.
fn wire(world: &Weak<World>, on: Wires, owner: Option<&Owner>) -> Wire {
    let (world, owner) = (world.clone(), owner.cloned());
    Wire::new(move |request| {
        let (world, owner) = (world.clone(), owner.clone());
        async move {
            let life = owner.and_then(|owner| owner.lock().unwrap().upgrade());
            if life.is_some_and(|life| life.has_ended()) {
                return std::future::pending().await;
            }
            match world.upgrade() {
                Some(world) => {
                    world.overhear(on, &request);
                    world.travel(on, request).await
                }
                None => std::future::pending().await,
            }
        }
    })
}

/// Counts one check of an invariant.
pub(super) fn checked(invariant: &str) {
    trial::met(format!("invariant {invariant}"));
}
