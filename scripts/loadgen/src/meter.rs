//! What a phase cost: latencies, and CPU time and memory of the server from `/proc`.

use std::fs;

/// The clock ticks of `/proc/PID/stat` a second; Linux shows 100 to programs on every machine.
const TICKS_PER_S: f64 = 100.0;

/// User and system time of a process so far, in seconds.
pub fn cpu_s(pid: Option<u32>) -> f64 {
    let Some(pid) = pid else { return 0.0 };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS_PER_S
}

/// Resident memory of a process in MiB.
pub fn rss_mib(pid: Option<u32>) -> f64 {
    let Some(pid) = pid else { return 0.0 };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// The `percent`-th percentile; sorts what it is given.
pub fn percentile_us(took_us: &mut [u32], percent: usize) -> u32 {
    took_us.sort_unstable();
    let last = took_us.len().saturating_sub(1);
    took_us.get(last * percent / 100).copied().unwrap_or(0)
}
