//! Floor 5: arguments, config, wiring, signals, exit codes.
