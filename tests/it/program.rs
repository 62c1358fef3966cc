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
        let mut command = command(dir, args);
        command.envs(env.iter().copied());
        Self::spawn(dir, name, command)
    }

    /// The same, where it may have only `most` files open.
    pub(crate) fn start_with_descriptors(most: u32, dir: &Path, name: &str, args: &[&str]) -> Self {
        let plain = command(dir, args);
        let mut limited = Command::new("sh");
        let line = format!("ulimit -n {most}; exec \"$0\" \"$@\"");
        limited.args(["-c", &line]).arg(plain.get_program());
        limited.args(plain.get_args()).current_dir(dir);
        Self::spawn(dir, name, limited)
    }

    fn spawn(dir: &Path, name: &str, mut command: Command) -> Self {
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
        let from = Instant::now();
        loop {
            if let Some(address) = address_in(&fs::read_to_string(&self.out).unwrap(), mark) {
                return address;
            }
            let ended = self.child.try_wait().unwrap();
            let late = from.elapsed() > START_LIMIT;
            assert!(
                ended.is_none() && !late,
                "no `{mark}` ({ended:?}):\n{}",
                self.log()
            );
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

/// Variables of the caller's shell must not reach a test.
fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(dir).args(args);
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
