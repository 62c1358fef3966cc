//! A disk of its own for a test: a small one that fills up, or one that cannot be written. It is
//! mounted in a namespace of its own, as root or as a user who may make one.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mount that only the programs started by [`SmallDisk::by`] see.
pub(crate) struct SmallDisk {
    holder: Child,
    enter: Vec<String>,
    at: PathBuf,
}

impl SmallDisk {
    /// An empty disk of `mb` MiB at `at`, which must be there.
    pub(crate) fn empty(at: &Path, mb: u64) -> Self {
        let mount = format!("mount -t tmpfs -o size={mb}m,mode=700 none \"$0\"");
        Self::mounted(at, &mount)
    }

    /// `at` as it is, but nobody can write there.
    pub(crate) fn read_only(at: &Path) -> Self {
        Self::mounted(
            at,
            "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\"",
        )
    }

    fn mounted(at: &Path, mount: &str) -> Self {
        let at = at.canonicalize().unwrap();
        let tries = [
            (vec!["-m"], vec!["-m"]),
            (vec!["-rm"], vec!["-m", "-U", "--preserve-credentials"]),
        ];
        let mut said = vec![];
        for (unshare, enter) in tries {
            match hold(&unshare, &at, mount) {
                Ok(holder) => {
                    let pid = holder.id().to_string();
                    let enter = [&["nsenter", "-t", &pid][..], &enter].concat();
                    let enter = enter.into_iter().map(str::to_owned).collect();
                    return Self { holder, enter, at };
                }
                Err(why) => said.push(format!("unshare {unshare:?}: {why}")),
            }
        }
        panic!("neither root nor a user namespace can mount a disk here: {said:?}");
    }

    /// What starts a program there, in the directory `dir`: see `Setup::by`.
    pub(crate) fn by(&self, dir: &Path) -> Vec<String> {
        let dir = dir.to_str().unwrap().to_owned();
        let line = ["sh", "-c", "cd \"$0\" && exec \"$@\""].map(str::to_owned);
        [&self.enter[..], &line, &[dir]].concat()
    }

    /// Runs a line of the shell there, with the disk as `$0`.
    pub(crate) fn run(&self, line: &str) {
        let mut command = Command::new(&self.enter[0]);
        command
            .args(&self.enter[1..])
            .args(["sh", "-c", line])
            .arg(&self.at);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// A path below the disk, as it is seen from here.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.at.strip_prefix("/").unwrap()).join(name)
    }
}

/// Mounts and then does nothing; it tells when the mount is there.
fn hold(unshare: &[&str], at: &Path, mount: &str) -> Result<Child, String> {
    let line = format!("{mount} && echo mounted && exec cat");
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", &line]).arg(at);
    // It ends when its input does: with the test, however that ends.
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut holder = command.spawn().map_err(|error| error.to_string())?;
    let mut told = [0; 8];
    if holder
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut told)
        .is_ok()
    {
        return Ok(holder);
    }
    let mut why = String::new();
    let _ = holder.stderr.as_mut().unwrap().read_to_string(&mut why);
    holder.wait().map_err(|error| error.to_string())?;
    Err(why)
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
