//! What can go wrong in a running store. What can go wrong while opening is in `open`.

/// Why the store gave no answer. It is never a refusal by the business.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The write may or may not have happened: repeat it under the same number.
    #[error("写入结果未知，请用同一编号重试")]
    Unknown,
    /// The store is closed or has failed; nothing was written.
    #[error("存储暂不可用，没有写入任何内容")]
    Unavailable,
    /// What was read fails its check; the store stops and rebuilds its working set at next start.
    #[error("存储内容损坏：{0}")]
    Corrupt(String),
    /// One closure changed more than a frame holds; nothing was written.
    #[error("一次写入的内容过大，没有写入任何内容")]
    TooLarge,
    /// The disk has too little room for anything new; nothing was written.
    #[error("服务器磁盘空间不足，暂停接受新订单，请稍后再试；已下的订单可以照常付款")]
    Full,
    /// The store was opened to be read; nothing was written.
    #[error("这是只读打开的数据副本（serve --read-only），不接受写入")]
    ReadOnly,
}
