//! How many files and connections this process may hold open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is kept free for the store, for calls to WeChat and for the log.
const RESERVE: u64 = 256;

/// Asks the system for as many descriptors as it grants, and tells how many connections leave
/// enough of them for everything else.
pub(super) fn most_connections() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    // What was granted before is enough to go on with.
    let granted = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    granted.map_or(usize::MAX, |granted| {
        usize::try_from(left_for_connections(granted)).unwrap_or(usize::MAX)
    })
}

/// All but the reserve, and half of few.
fn left_for_connections(granted: u64) -> u64 {
    granted.saturating_sub(RESERVE).max(granted / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_keeps_its_share_of_the_descriptors() {
        for (granted, left) in [(64, 32), (512, 256), (1024, 768), (20_000, 19_744)] {
            assert_eq!(left_for_connections(granted), left, "{granted}");
        }
    }
}
