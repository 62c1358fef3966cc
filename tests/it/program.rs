//! The binary as a child of a test: started, watched on both its outputs, stopped or killed.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_zhanggui");

/// A debug binary on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running command whose outputs go to two files.
pub(crate) struct Program {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Program {
    /// Starts `zhanggui` with `args`; `name` names its output files in `dir`.
    pub(crate) fn start(dir: &Path, name: &str, args: &[&str]) -> Self {
        Self::start_in(dir, name, args, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_in(dir: &Path, name: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_by(dir, name, command(dir, args).envs(env.iter().copied()))
    }

    /// The same by another program, which becomes ours: `by` ends where our own line begins.
    pub(crate) fn start_within(dir: &Path, name: &str, by: &[String], args: &[&str]) -> Self {
        Self::start_by(dir, name, &mut within(dir, by, args))
    }

    fn start_by(dir: &Path, name: &str, command: &mut Command) -> Self {
        let out = dir.join(format!("{name}.out"));
        let err = dir.join(format!("{name}.err"));
        command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap());
        let child = command.spawn().unwrap();
        Self { child, out, err }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it wrote so far, stdout first.
    pub(crate) fn log(&self) -> String {
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        read(&self.out) + &read(&self.err)
    }

    /// The address after the first `://` that stdout shows behind `mark`, once it is there.
    pub(crate) fn address(&mut self, mark: &str) -> SocketAddr {
        let listens = self.listens(mark);
        listens.unwrap_or_else(|ended| panic!("no `{mark}` ({ended:?}):\n{}", self.log()))
    }

    /// The same, or how it ended.
    pub(crate) fn listens(&mut self, mark: &str) -> Result<SocketAddr, ExitStatus> {
        let from = Instant::now();
        loop {
            if let Some(address) = address_in(&fs::read_to_string(&self.out).unwrap(), mark) {
                return Ok(address);
            }
            if let Some(ended) = self.child.try_wait().unwrap() {
                return Err(ended);
            }
            let late = from.elapsed() > START_LIMIT;
            assert!(!late, "no `{mark}`:\n{}", self.log());
            thread::sleep(Duration::from_millis(3));
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Asks it to stop and waits for its end.
    pub(crate) fn stop(&mut self, signal: &str) -> ExitStatus {
        send_signal(self.pid(), signal);
        self.end_within(Duration::from_secs(20))
    }

    pub(crate) fn end_within(&mut self, limit: Duration) -> ExitStatus {
        let from = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(from.elapsed() < limit, "still running:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
    }
}

/// What a command that ends by itself said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `zhanggui` with `args` in `dir` to its end.
pub(crate) fn run(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Said {
    let mut command = command(dir, args);
    let output = command
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said::of(output)
}

/// The same by another program: see [`Program::start_within`].
pub(crate) fn run_within(dir: &Path, by: &[String], args: &[&str]) -> Said {
    let mut command = within(dir, by, args);
    Said::of(command.stdin(Stdio::null()).output().unwrap())
}

/// The same with a text on its standard input.
pub(crate) fn run_with_input(dir: &Path, args: &[&str], input: &str) -> Said {
    let mut command = command(dir, args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that wants no input has closed it: what it says is judged, not the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Said::of(child.wait_with_output().unwrap())
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// Sends a signal by its name, with the shell's own `kill`.
pub(crate) fn send_signal(pid: u32, signal: &str) {
    let line = format!("kill -{signal} {pid}");
    let status = Command::new("sh").args(["-c", &line]).status().unwrap();
    assert!(status.success(), "{line}");
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = clean(Command::new(BINARY), dir);
    command.args(args);
    command
}

/// `by`, with `env` set between it and our own line.
pub(crate) fn with_env(by: &[String], env: &[(String, String)]) -> Vec<String> {
    let pairs = env.iter().map(|(name, value)| format!("{name}={value}"));
    let set = ["env".to_owned()].into_iter().chain(pairs);
    let set = set.filter(|_| !env.is_empty());
    by.iter().cloned().chain(set).collect()
}

fn within(dir: &Path, by: &[String], args: &[&str]) -> Command {
    let Some((first, rest)) = by.split_first() else {
        return command(dir, args);
    };
    let mut command = clean(Command::new(first), dir);
    command.args(rest).arg(BINARY).args(args);
    command
}

/// Variables of the caller's shell must not reach a test.
fn clean(mut command: Command, dir: &Path) -> Command {
    command.current_dir(dir);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ZHANGGUI_")) {
        command.env_remove(name);
    }
    command
}

fn address_in(out: &str, mark: &str) -> Option<SocketAddr> {
    let (complete, _) = out.rsplit_once('\n')?;
    let behind = complete.split_once(mark)?.1;
    let address = behind.split_once("://")?.1;
    let end = address.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
    address[..end.unwrap_or(address.len())].parse().ok()
}
