//! What one server carries at most, in numbers. Who enforces them is elsewhere.

use std::time::Duration;

/// What one server carries at most. The default is for a server among friends: nothing is counted
/// by address.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest request body, bytes.
    pub max_body_bytes: usize,
    /// The fewest bytes a second in which a body may arrive, on average after its first seconds.
    pub min_body_bytes_per_s: u64,
    /// How deep objects and arrays of a JSON body may lie in each other.
    pub max_json_depth: usize,
    /// The longest path and query, bytes: beyond it the answer is 414.
    pub max_url_bytes: usize,
    /// The longest head, bytes: beyond it the answer is 431.
    pub max_head_bytes: usize,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// What one address may take of all this.
    pub per_address: PerAddress,
    /// How long things may take.
    pub deadlines: Deadlines,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 256 * 1024,
            min_body_bytes_per_s: 500,
            max_json_depth: 32,
            max_url_bytes: 8 * 1024,
            max_head_bytes: 32 * 1024,
            max_connections: 10_000,
            per_address: PerAddress::default(),
            deadlines: Deadlines::default(),
        }
    }
}

/// What one IPv4 address or IPv6 /64 network may take. The default is everything.
#[derive(Clone, Debug)]
pub struct PerAddress {
    /// How many connections it may hold; a trusted proxy holds as many as there are.
    pub connections: usize,
    /// How many of its requests may be worked on at once, also those it no longer waits for.
    pub running: usize,
    /// How many requests a minute it may send that prove nobody.
    pub requests_per_minute: u32,
    /// How many requests a minute it may send to the rows of messengers.
    pub messages_per_minute: u32,
    /// How many of those may be forged.
    pub forged_per_minute: u32,
}

impl Default for PerAddress {
    fn default() -> Self {
        Self {
            connections: usize::MAX,
            running: usize::MAX,
            requests_per_minute: u32::MAX,
            messages_per_minute: u32::MAX,
            forged_per_minute: u32::MAX,
        }
    }
}

/// How long things may take. The default is the contract's.
#[derive(Clone, Debug)]
pub struct Deadlines {
    /// From the connection's start to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a head, or from the connection's start, to the head's end.
    pub head: Duration,
    /// From asking for the body to its end.
    pub body: Duration,
    /// From an answer to the first byte of the next request; the answer is written in this time.
    pub idle: Duration,
    /// From the order to stop to the end of what is in flight.
    pub drain: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(10),
        }
    }
}
