//! `export`: tables for other programs, part by part, from the running server or the stopped store.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::args::ExportOrders;
use super::config::{self, Config};
use super::exit::Failure;
use super::socket::{self, Reply};
use super::staff::Request;
use super::{serve, term};
use crate::base::Day;
use crate::shop::export::ExportWanted;

/// `zhanggui export orders`
///
/// # Errors
/// [`Failure::Failed`] with the reason; a file that was there before is then as it was.
pub fn orders(path: &Path, args: ExportOrders) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let mut target = Target::open(args.output).map_err(|why| Failure::failed("写不了文件", why))?;
    let mut written = |text: &str| {
        let put = target.put(text);
        put.map_err(|why| Failure::failed("写不了文件", why))
    };
    match of_server(&config, (args.from, args.to), &mut written)? {
        Some(()) => {}
        None => of_store(config, (args.from, args.to), &mut written)?,
    }
    target
        .finish()
        .map_err(|why| Failure::failed("写不了文件", why))
}

/// The orders of these days, both inclusive.
pub(super) fn wanted(from: Option<Day>, to: Option<Day>) -> ExportWanted {
    ExportWanted {
        from: from.map(Day::start),
        to: to.map(|day| day.after(1).start()),
    }
}

type Write<'w> = dyn FnMut(&str) -> Result<(), Failure> + 'w;
type Days = (Option<Day>, Option<Day>);

/// Has the server give one part after another; `None` when there is none.
fn of_server(
    config: &Config,
    (from, to): Days,
    write: &mut Write<'_>,
) -> Result<Option<()>, Failure> {
    let mut cursor = None;
    loop {
        let request = Request::ExportOrders {
            from,
            to,
            cursor: cursor.clone(),
        };
        let asked = socket::ask(&config.store.data_dir, &request);
        let asked = asked.map_err(|error| Failure::failed("服务器中途断开，请再试一次", error))?;
        let part = match asked {
            None if cursor.is_none() => return Ok(None),
            None => return Err(Failure::Failed("服务器中途停止，请再试一次".to_owned())),
            Some(Reply::Error(why)) => return Err(Failure::Failed(why)),
            Some(Reply::Ok(part)) => part,
        };
        write(part["csv"].as_str().unwrap_or_default())?;
        cursor = match &part["next_cursor"] {
            Value::String(next) => Some(next.clone()),
            _ => return Ok(Some(())),
        };
    }
}

/// Reads it from the stopped store.
fn of_store(config: Config, (from, to): Days, write: &mut Write<'_>) -> Result<(), Failure> {
    let wanted = wanted(from, to);
    serve::with_shop(config, async |shop| {
        let mut cursor = None;
        loop {
            let part = shop.export_orders(wanted, cursor).await;
            let part = part.map_err(|error| Failure::Failed(error.to_string()))?;
            write(&part.csv)?;
            if part.next_cursor.is_none() {
                return Ok(());
            }
            cursor = part.next_cursor;
        }
    })?
}

/// Where the table goes: a file, under another name until it is whole, or standard output.
enum Target {
    Terminal,
    File {
        file: File,
        new: PathBuf,
        path: PathBuf,
    },
}

impl Target {
    fn open(output: Option<PathBuf>) -> io::Result<Self> {
        let Some(path) = output else {
            return Ok(Self::Terminal);
        };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Self::File {
            file: options.open(&new)?,
            new,
            path,
        })
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Terminal => {
                term::put(text);
                Ok(())
            }
            Self::File { file, .. } => file.write_all(text.as_bytes()),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Terminal => Ok(()),
            Self::File { file, new, path } => {
                file.sync_all()?;
                fs::rename(new, path)
            }
        }
    }
}
