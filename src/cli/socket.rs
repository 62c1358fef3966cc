//! The admin socket: a command reaches the server that holds the store, through the data directory.
//!
//! One request a line, one reply a line, both JSON. Who can open the socket owns the directory, so
//! nothing else is asked. What a request means is [`super::staff`]'s.

use std::fs::{File, Permissions};
use std::future::Future;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

/// The socket's name in the data directory.
const NAME: &str = "admin.sock";
/// The longest path a socket can be bound to, without its final zero.
const PATH_MAX_BYTES: usize = 107;
/// The longest request.
const REQUEST_MAX_BYTES: u64 = 64 * 1024;
/// The longest reply: an order of fifty lines with years of timeline fits.
const REPLY_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// How long a peer may take for one line, and a server for one reply.
const WITHIN: Duration = Duration::from_secs(30);
/// How long to leave the socket alone after it failed.
const PAUSE: Duration = Duration::from_millis(50);

/// What was asked for, or why not, in Chinese.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// Done; what came of it.
    Ok(Value),
    /// Not done, and why.
    Error(String),
}

/// A path to `name` in `dir` that is short enough: through the open directory when it is long.
struct ShortPath {
    path: PathBuf,
    _dir: Option<File>,
}

impl ShortPath {
    fn of(dir: &Path) -> io::Result<Self> {
        let path = dir.join(NAME);
        if path.as_os_str().len() <= PATH_MAX_BYTES {
            return Ok(Self { path, _dir: None });
        }
        let dir = File::open(dir)?;
        let path = format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd()).into();
        Ok(Self {
            path,
            _dir: Some(dir),
        })
    }
}

/// The server's end.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds the socket in `data_dir`. One that is there is stale: the caller holds the store's
    /// lock, so no other server lives.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let short = ShortPath::of(data_dir)?;
        let listener = UnixListener::bind(&short.path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers one connection after another, each with `reply`, for ever.
    pub async fn serve<F, Fut>(&self, reply: F)
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = Reply>,
    {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // A peer that breaks off or is too slow has nobody to tell.
                    let _ = tokio::time::timeout(WITHIN, converse(stream, &reply)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "管理套接字出错");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // One that stays is found stale by the next server.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn converse<F, Fut>(mut stream: tokio::net::UnixStream, reply: &F) -> io::Result<()>
where
    F: Fn(String) -> Fut,
    Fut: Future<Output = Reply>,
{
    let (read, mut write) = stream.split();
    let mut lines = tokio::io::BufReader::new(read.take(REQUEST_MAX_BYTES));
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut text = serde_json::to_string(&reply(line).await)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
    }
}

/// Sends `request` to the server that holds `data_dir`; `None` when there is none.
///
/// # Errors
/// When it broke off, which leaves open whether it did what was asked.
pub fn ask(data_dir: &Path, request: &impl Serialize) -> io::Result<Option<Reply>> {
    let Ok(short) = ShortPath::of(data_dir) else {
        return Ok(None);
    };
    let Ok(mut stream) = UnixStream::connect(&short.path) else {
        return Ok(None);
    };
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let mut text = serde_json::to_string(request)?;
    text.push('\n');
    stream.write_all(text.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(REPLY_MAX_BYTES)).read_line(&mut line)?;
    Ok(Some(serde_json::from_str(&line)?))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn asked(dir: &Path, request: &'static str) -> io::Result<Option<Reply>> {
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || ask(&dir, &request))
            .await
            .unwrap()
    }

    async fn told(dir: &Path) -> Option<Reply> {
        let socket = AdminSocket::bind(dir).unwrap();
        let mode = std::fs::metadata(dir.join(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let count = AtomicUsize::new(0);
        let serving = socket.serve(async |line: String| {
            count.fetch_add(1, Ordering::Relaxed);
            Reply::Ok(serde_json::from_str(&line).unwrap())
        });
        let reply = tokio::select! {
            () = serving => None,
            reply = asked(dir, "hello") => reply.unwrap(),
        };
        assert_eq!(count.load(Ordering::Relaxed), 1);
        reply
    }

    #[tokio::test]
    async fn a_request_reaches_the_server_also_in_a_deep_directory() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        for dir in [root.path(), &deep] {
            assert_eq!(told(dir).await, Some(Reply::Ok("hello".into())));
        }
    }

    #[tokio::test]
    async fn without_a_server_nobody_answers_and_a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(asked(dir.path(), "hello").await.unwrap(), None);
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(NAME)).unwrap());
        assert!(dir.path().join(NAME).exists());
        assert_eq!(asked(dir.path(), "hello").await.unwrap(), None);
        assert_eq!(told(dir.path()).await, Some(Reply::Ok("hello".into())));
        assert!(!dir.path().join(NAME).exists());
    }
}
