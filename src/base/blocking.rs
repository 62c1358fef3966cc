//! Work that blocks, done beside the runtime's threads.

/// What `work` gives, once a thread that may block has done it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // In a simulation only one thread may decide what comes first.
    #[cfg(test)]
    if super::trial::is_seeded() {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("what reads a file does not panic")
}
