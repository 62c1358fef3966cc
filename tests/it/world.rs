//! A shop in a box: the simulator, the server behind two taps, and a merchant's key.
//!
//! When it is dropped it fails the test if the server panicked, told a secret, did not stop
//! cleanly, or sent the simulator something WeChat would refuse.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use toml::{Table, Value as Toml};

use crate::http::{Client, Place, Reply};
use crate::notify::Notify;
use crate::people::{Buyer, Merchant, Wechat};
use crate::program::{Program, Said, run_within, with_env};
use crate::tap::Tap;
use crate::world_config::{config, simulator_keys};

/// What a test may choose before the world starts.
pub(crate) struct Setup {
    /// `v2` or `v3`: the protocol of new attempts.
    pub(crate) version: &'static str,
    /// `MD5` or `HMAC-SHA256`.
    pub(crate) sign_type: &'static str,
    pub(crate) pay_within_s: i64,
    /// Other keys, as `("limits.max_body_kb", 64)`.
    pub(crate) more: Vec<(&'static str, Toml)>,
    /// Whether the simulator may have to refuse something.
    pub(crate) may_be_refused: bool,
    /// Whether a library inside the server may panic, and be caught.
    pub(crate) may_panic: bool,
    /// More arguments of `serve`.
    pub(crate) args: Vec<String>,
    /// What the server finds in its environment.
    pub(crate) env: Vec<(String, String)>,
    /// The program that starts the server, up to where its own line begins.
    pub(crate) by: Vec<String>,
    /// Whether the server follows the simulator's clock, so that [`Wechat::advance`] moves both.
    pub(crate) one_clock: bool,
    /// What stands between the tests and a server of another protocol than plain HTTP/1.1.
    pub(crate) front: Option<Front>,
    /// How many files the server may have open, if not as many as this test.
    pub(crate) descriptors: Option<u32>,
}

/// Opens a relay to the address of a server and says where it is.
pub(crate) type Front = Box<dyn Fn(SocketAddr) -> SocketAddr + Send + Sync>;

impl Default for Setup {
    fn default() -> Self {
        Self {
            version: "v3",
            sign_type: "HMAC-SHA256",
            pay_within_s: 1800,
            more: vec![],
            may_be_refused: false,
            may_panic: false,
            args: vec![],
            env: vec![],
            by: vec![],
            one_clock: false,
            descriptors: None,
            front: None,
        }
    }
}

/// Everything one test needs; see the file's head.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    /// Between the simulator and the server.
    pub(crate) notifies: Tap,
    /// Between the server and the simulator.
    pub(crate) upstream: Tap,
    pub(crate) place: Place,
    pub(crate) wechat: Wechat,
    pub(crate) config: Table,
    pub(crate) setup: Setup,
    api_key: String,
    tokens: Mutex<Vec<String>>,
    simulator: Program,
    server: Option<Program>,
    starts: usize,
    old_logs: String,
}

impl World {
    /// v3, generous limits, nobody there yet.
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// The same with some choices made.
    pub(crate) fn with(choose: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        choose(&mut setup);
        let dir = tempfile::tempdir().unwrap();
        let keys = simulator_keys(dir.path());
        let args = [
            "sandbox",
            "--listen",
            "127.0.0.1:0",
            "--data",
            keys.to_str().unwrap(),
        ];
        let mut simulator = Program::start(dir.path(), "simulator", &args);
        let (notifies, upstream) = (Tap::open(), Tap::open());
        let simulates_at = simulator.address("http");
        upstream.target.set(simulates_at);
        let wechat = Wechat::new(&upstream.target, keys);
        if setup.one_clock {
            let clock = ["--clock-from".to_owned(), format!("http://{simulates_at}")];
            setup.args.extend(clock);
        }
        let config = config(&setup, &wechat.config(), &notifies, &upstream);
        let text = toml::to_string(&config).unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, text).unwrap();
        // It holds secrets, and `check` says so when others can read them.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let mut world = Self {
            place: notifies.target.clone(),
            api_key: String::new(),
            tokens: Mutex::default(),
            server: None,
            starts: 0,
            old_logs: String::new(),
            dir,
            notifies,
            upstream,
            wechat,
            config,
            setup,
            simulator,
        };
        world.serve();
        world.make_key();
        world
    }

    /// Makes the key that [`World::merchant`] uses; tells what the command said beside it.
    pub(crate) fn make_key(&mut self) -> String {
        let key = self.command(&["key", "create", "tests"]);
        assert_eq!(key.code, Some(0), "{key:?}");
        self.api_key = key.out.trim().to_owned();
        key.err
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts the server on the data that is there, and waits until it listens.
    pub(crate) fn serve(&mut self) {
        self.spawn_server();
        let address = self.server().address("listening on");
        let front = self.setup.front.as_ref();
        self.place
            .set(front.map_or(address, |front| front(address)));
    }

    /// Starts the server and tells how it ended, with what it said, when it does not come up.
    pub(crate) fn try_serve(&mut self) -> Result<(), (Option<i32>, String)> {
        self.spawn_server();
        match self.server().listens("listening on") {
            Ok(address) => {
                self.place.set(address);
                Ok(())
            }
            Err(status) => {
                let said = self.server().log();
                self.forget_server();
                Err((status.code(), said))
            }
        }
    }

    /// Starts the server without waiting for it.
    pub(crate) fn spawn_server(&mut self) {
        assert!(self.server.is_none(), "it is running");
        self.starts += 1;
        let name = format!("server{}", self.starts);
        let mut args = vec!["serve", "--config", "config.toml"];
        args.extend(self.setup.args.iter().map(String::as_str));
        let mut by = with_env(&self.setup.by, &self.setup.env);
        if let Some(most) = self.setup.descriptors {
            let line = format!("ulimit -n {most}; exec \"$0\" \"$@\"");
            by = [vec!["sh".to_owned(), "-c".to_owned(), line], by].concat();
        }
        self.server = Some(Program::start_within(self.dir.path(), &name, &by, &args));
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.server().kill();
        self.forget_server();
    }

    /// SIGTERM; the server must end with 0.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().expect("it is running");
        let status = server.stop("TERM");
        assert_eq!(status.code(), Some(0), "{}", server.log());
        self.old_logs += &server.log();
    }

    /// Takes note that the server has ended by other means than [`World::stop`].
    pub(crate) fn forget_server(&mut self) {
        let server = self.server.take().expect("it was running");
        self.old_logs += &server.log();
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    /// Runs a command with this world's config.
    pub(crate) fn command(&self, args: &[&str]) -> Said {
        let args = [args, &["--config", "config.toml"]].concat();
        let by = with_env(&self.setup.by, &self.setup.env);
        run_within(self.dir.path(), &by, &args)
    }

    pub(crate) fn log(&self) -> String {
        let now = self.server.as_ref().map(Program::log).unwrap_or_default();
        format!("{}{now}", self.old_logs)
    }

    pub(crate) fn server(&mut self) -> &mut Program {
        self.server.as_mut().expect("it is running")
    }

    pub(crate) fn merchant(&self) -> Merchant {
        Merchant::new(&self.place, &self.api_key)
    }

    /// A buyer who has just logged in for the first time.
    pub(crate) fn buyer(&self) -> Buyer {
        let (code, openid) = self.wechat.login_code(None);
        let buyer = Buyer::login(&self.place, &code, &openid);
        self.tokens.lock().unwrap().push(buyer.token.clone());
        buyer
    }

    /// Nobody: a connection without a token.
    pub(crate) fn anyone(&self) -> Client {
        Client::new(&self.place)
    }

    /// What the merchant can see of everything: to prove that a request changed nothing.
    pub(crate) fn everything(&self) -> Value {
        let merchant = self.merchant();
        let orders = merchant.orders();
        let whole: Vec<Value> = orders
            .iter()
            .map(|order| merchant.order(order["order_no"].as_str().unwrap()))
            .collect();
        json!({ "orders": whole, "goods": merchant.all_goods() })
    }

    /// The same without the timelines: an alarm may be noted there, and changes nothing.
    pub(crate) fn state(&self) -> Value {
        let mut all = self.everything();
        for order in all["orders"].as_array_mut().unwrap() {
            order.as_object_mut().unwrap().remove("events");
        }
        all
    }

    /// Delivers a message to the notify address as it is.
    pub(crate) fn deliver(&self, message: &Notify) -> Reply {
        let headers: Vec<(&str, &str)> = message
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut client = Client::new(&self.place);
        client
            .send("POST", "/wx/pay/notify", &headers, &message.body)
            .unwrap()
    }

    /// A text of the config, as `("wechat.pay", "v2_key")`.
    pub(crate) fn setting(&self, section: &str, key: &str) -> Option<String> {
        let table = section.split('.').try_fold(&self.config, |table, name| {
            table.get(name).and_then(Toml::as_table)
        });
        table?.get(key)?.as_str().map(str::to_owned)
    }

    /// Strings that no log may hold.
    fn secrets(&self) -> Vec<String> {
        let places = [
            ("store", "field_key"),
            ("token", "salt"),
            ("wechat", "secret"),
            ("wechat", "message_token"),
            ("wechat", "message_aes_key"),
            ("wechat.pay", "v2_key"),
            ("wechat.pay", "v3_key"),
        ];
        let read = |(section, key)| self.setting(section, key);
        let mut secrets: Vec<String> = places.into_iter().filter_map(read).collect();
        assert_eq!(
            secrets.len(),
            places.len(),
            "a secret of the config was not found"
        );
        // A test may choose to have none.
        secrets.retain(|secret| !secret.is_empty());
        secrets.push(self.api_key.clone());
        secrets.extend(self.tokens.lock().unwrap().iter().cloned());
        secrets
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
            eprintln!("--- the simulator's log ---\n{}", self.simulator.log());
            return;
        }
        let refused = self.wechat.refused();
        if self.server.is_some() {
            self.stop();
        }
        let log = self.log();
        let may_panic = self.setup.may_panic;
        let panicked = log.contains("panicked at") || log.contains("(panic)");
        assert!(may_panic || !panicked, "the server panicked:\n{log}");
        for secret in self.secrets() {
            assert!(!log.contains(&secret), "the log tells a secret:\n{log}");
        }
        let expected = self.setup.may_be_refused;
        assert!(
            expected || refused.is_empty(),
            "WeChat would refuse:\n{refused:#?}"
        );
    }
}
