//! Floor 4: the contract: routes as data, callers proved by type, the one error map.
