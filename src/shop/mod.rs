//! Floor 3: the use cases, what a merchant does, and the background ticks.
