//! The disk's limit: append and fdatasync, one thread, nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::Args;
use crate::meter::percentile_us;

/// `--dir DIR [--bytes 4096] [--seconds 2]`
pub fn run(args: &Args) -> Result<(), String> {
    let path = Path::new(args.require("dir")?).join("fdatasync.probe");
    let bytes = args.or("bytes", 4096)?;
    let span = Duration::from_secs_f64(args.or("seconds", 2.0)?);
    let result = probe(&path, bytes, span).map_err(|e| format!("{}: {e}", path.display()));
    let _ = fs::remove_file(&path);
    let (mut took, elapsed) = result?;
    let per_s = took.len() as f64 / elapsed.as_secs_f64();
    let (p50, p99) = (percentile_us(&mut took, 50), percentile_us(&mut took, 99));
    println!(
        "{}",
        json!({ "per_s": per_s, "p50_us": p50, "p99_us": p99, "bytes": bytes })
    );
    Ok(())
}

fn probe(path: &Path, bytes: usize, span: Duration) -> std::io::Result<(Vec<u32>, Duration)> {
    let mut file = File::create(path)?;
    let block = vec![0x5a; bytes];
    let mut took = Vec::new();
    let start = Instant::now();
    while start.elapsed() < span {
        let one = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        took.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok((took, start.elapsed()))
}
