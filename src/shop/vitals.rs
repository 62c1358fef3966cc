//! What the system says of this process: memory and open files.
//!
//! Source: proc(5) · /proc/pid/status, /proc/pid/fd.

use std::fs;

/// What this process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vitals {
    /// Memory in use, in bytes.
    pub(super) resident_bytes: u64,
    /// Open file descriptors.
    pub(super) open_files: u64,
}

impl Vitals {
    /// Of this process; where there is no `/proc`, nothing.
    pub(super) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            resident_bytes: resident_bytes(&status).unwrap_or(0),
            // One of them is the directory being read.
            open_files: u64::try_from(files.saturating_sub(1)).unwrap_or(0),
        }
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_bytes() {
        let status = "Name:\tzhanggui\nVmPeak:\t  9 kB\nVmRSS:\t    1234 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(1_263_616));
        assert_eq!(resident_bytes("VmRSS:\tmuch\n"), None);
        let vitals = Vitals::now();
        assert!(vitals.resident_bytes > 1_000_000 && vitals.open_files > 2);
    }
}
