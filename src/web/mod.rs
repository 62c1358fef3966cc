//! Floor 1: HTTP, in and out. The one home of hyper, reqwest and rustls.
