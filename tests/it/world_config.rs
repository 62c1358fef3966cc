//! What a world is configured with: the simulator's keys and section, taps, and no limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;
use toml::{Table, Value as Toml};

use crate::program::Program;
use crate::tap::Tap;
use crate::world::Setup;

/// One set of RSA keys serves all worlds of a run: making them is slow.
pub(crate) fn simulator_keys(dir: &Path) -> PathBuf {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let keys = made.path().to_str().unwrap();
        let args = ["sandbox", "--listen", "127.0.0.1:0", "--data", keys];
        Program::start(dir, "keys", &args).address("http");
        made
    });
    let keys = dir.join("simulator");
    fs::create_dir(&keys).unwrap();
    for entry in fs::read_dir(made.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
    }
    keys
}

/// The simulator's own section, the taps in between, and limits that no test reaches.
pub(crate) fn config(setup: &Setup, wechat: &str, notifies: &Tap, upstream: &Tap) -> Table {
    let mut config: Table = wechat.parse().unwrap();
    let mut set = |path: &str, value: Toml| {
        let (section, key) = path.rsplit_once('.').unwrap();
        let table = section.split('.').fold(&mut config, |table, name| {
            let inner = table
                .entry(name)
                .or_insert_with(|| Toml::Table(Table::new()));
            inner.as_table_mut().unwrap()
        });
        table.insert(key.to_owned(), value);
    };
    set("server.listen", "127.0.0.1:0".into());
    set("server.public_url", notifies.url().into());
    set("store.data_dir", "data".into());
    set("store.reserve_mb", 1.into());
    // The disk of a machine that runs tests may be nearly full.
    set("store.min_free_mb", 0.into());
    set(
        "store.field_key",
        "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=".into(),
    );
    set("token.salt", "a salt that no log may show".into());
    set("wechat.api_base", upstream.url().into());
    set("wechat.pay.api_base", upstream.url().into());
    set("wechat.pay.version", setup.version.into());
    set("wechat.pay.v2_sign_type", setup.sign_type.into());
    set("order.pay_within_s", setup.pay_within_s.into());
    for rate in [
        "login_per_minute_per_ip",
        "requests_per_minute_per_token",
        "max_running_per_ip",
        "requests_per_minute_per_ip",
        "notify_per_minute_per_ip",
        "forged_notify_per_minute_per_ip",
    ] {
        set(&format!("limits.{rate}"), 1_000_000.into());
    }
    set("log.level", "debug".into());
    for (path, value) in &setup.more {
        set(path, value.clone());
    }
    config
}
