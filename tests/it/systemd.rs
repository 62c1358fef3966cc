//! As a service: what systemd is told, what the unit allows, what the installer would do.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::program::{Program, send_signal};
use crate::world::World;

const LIMIT: Duration = Duration::from_secs(30);

/// The next messages, until one of them is `wanted`.
fn told(socket: &UnixDatagram, wanted: &str) {
    let from = Instant::now();
    let mut heard = Vec::new();
    while from.elapsed() < LIMIT {
        let mut buffer = [0; 256];
        let Ok(length) = socket.recv(&mut buffer) else {
            continue;
        };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.lines().any(|line| line == wanted) {
            return;
        }
        heard.push(text);
    }
    panic!("{wanted} was not told, but {heard:?}");
}

#[test]
fn systemd_hears_that_it_is_ready_that_it_lives_and_that_it_stops() {
    let mut world = World::start();
    world.stop();
    let path = world.dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let env = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "200000"),
    ];
    let args = ["serve", "--config", "config.toml"];
    let mut server = Program::start_in(world.dir.path(), "service", &args, &env);
    told(&socket, "READY=1");
    server.address("listening on");
    told(&socket, "WATCHDOG=1");
    told(&socket, "WATCHDOG=1");
    send_signal(server.pid(), "HUP");
    told(&socket, "WATCHDOG=1");
    assert_eq!(server.ended(), None, "SIGHUP ends nothing");
    send_signal(server.pid(), "TERM");
    told(&socket, "STOPPING=1");
    assert_eq!(server.end_within(LIMIT).code(), Some(0));
    world.serve();
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str, args: &[&str]) -> Output {
    let mut command = Command::new(top().join("scripts").join(name));
    command.args(args).output().unwrap()
}

#[test]
fn the_unit_starts_what_is_installed_and_keeps_its_promises() {
    let unit = std::fs::read_to_string(top().join("scripts/zhanggui.service")).unwrap();
    for line in [
        "Type=notify",
        "WatchdogSec=60",
        "Restart=on-failure",
        "StateDirectory=zhanggui",
        "LoadCredential=config.toml:/etc/zhanggui/config.toml",
        "ExecStart=/usr/local/bin/zhanggui --config %d/config.toml serve",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
    ] {
        assert!(
            unit.lines().any(|have| have == line),
            "{line} is not in the unit"
        );
    }
}

#[test]
fn a_dry_run_of_the_installer_says_what_it_would_do_and_does_nothing() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().to_str().unwrap();
    let binary = env!("CARGO_BIN_EXE_zhanggui");
    let said = script("install", &["--dry-run", "--root", at, binary]);
    assert!(said.status.success(), "{said:?}");
    let text = String::from_utf8(said.stdout).unwrap();
    for part in [
        "zhanggui.service",
        "/etc/zhanggui",
        "/usr/local/bin/zhanggui",
    ] {
        assert!(text.contains(part), "{part} is not said: {text}");
    }
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn installing_twice_is_installing_once_and_uninstalling_keeps_what_is_the_merchants() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().to_str().unwrap();
    let binary = env!("CARGO_BIN_EXE_zhanggui");
    let config = root.path().join("etc/zhanggui/config.toml");
    for _ in 0..2 {
        let said = script("install", &["--root", at, binary]);
        assert!(said.status.success(), "{said:?}");
    }
    let program = root.path().join("usr/local/bin/zhanggui");
    let unit = root.path().join("etc/systemd/system/zhanggui.service");
    assert!(program.exists() && unit.exists() && config.exists());
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(&config), mode(&program)), (0o600, 0o755));
    std::fs::write(&config, "# mine\n").unwrap();
    let data = root.path().join("var/lib/zhanggui/data");
    std::fs::create_dir_all(&data).unwrap();
    assert!(script("install", &["--root", at, binary]).status.success());
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "# mine\n");
    let said = script("uninstall", &["--root", at]);
    assert!(said.status.success(), "{said:?}");
    assert!(!program.exists() && !unit.exists());
    assert!(
        config.exists() && data.exists(),
        "what is the merchant's stays"
    );
}

/// The highest exposure that the unit may have, in tenths.
const EXPOSURE: &str = "20";

#[test]
fn https_by_itself_takes_one_flag_of_the_installer_and_stays_within_the_exposure() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().to_str().unwrap();
    let binary = env!("CARGO_BIN_EXE_zhanggui");
    let flags = [
        "--domain",
        "shop.example.com",
        "--email",
        "boss@example.com",
    ];
    let args = [&["--root", at][..], &flags, &[binary]].concat();
    let said = script("install", &args);
    assert!(said.status.success(), "{said:?}");
    let system = root.path().join("etc/systemd/system");
    let dropin = system.join("zhanggui.service.d/https.conf");
    let text = std::fs::read_to_string(&dropin).unwrap();
    let serve = "serve --domain shop.example.com --email boss@example.com\n";
    assert!(text.contains("\nExecStart=\nExecStart=/usr/local/bin/zhanggui"));
    assert!(text.ends_with(serve), "{text}");

    let unit = std::fs::read_to_string(system.join("zhanggui.service")).unwrap();
    let service = unit.replace("[Install]", &format!("{text}[Install]"));
    for (name, text) in [("plain", unit), ("https", service)] {
        let path = root.path().join(format!("{name}.service"));
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--threshold", EXPOSURE]);
        match command.arg(&path).output() {
            Ok(said) => assert!(said.status.success(), "{name}: {said:?}"),
            Err(why) => crate::wait::say(&format!("systemd-analyze: {why}")),
        }
    }
    let bad = ["--domain", "a b; rm", "--root", at, binary];
    assert_eq!(script("install", &bad).status.code(), Some(2));
    assert!(script("uninstall", &["--root", at]).status.success());
    assert!(!dropin.exists());
}
