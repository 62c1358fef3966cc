//! Passwords: Argon2id, in blocking threads, few at once.
//!
//! A hash costs some 20 ms and 19 MiB on purpose. So that a flood of logins cannot take the
//! machine away from buyers, only [`Passwords::at_once`] are worked out at a time, a few wait, and
//! who comes then is told to come back.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ShopError;
use crate::base::{Secret, secret};

/// How many logins wait for their turn.
const WAITING_MAX: usize = 16;
/// When one who found no room comes back, seconds.
const RETRY_AFTER_S: u64 = 2;

/// Where passwords are hashed and judged.
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    judged: Arc<AtomicU64>,
}

/// Counts who waits, also when they give up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(Self::at_once())),
            waiting: AtomicUsize::new(0),
            judged: Arc::default(),
        }
    }
}

impl Passwords {
    /// Half of the machine's processors, one at least.
    fn at_once() -> usize {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (all / 2).max(1)
    }

    /// How many hashes were worked out to judge a password: one a login, whether its name exists
    /// or not.
    #[cfg(test)]
    pub(super) fn judged(&self) -> u64 {
        self.judged.load(Ordering::Relaxed)
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`] when too many wait.
    pub(super) async fn hash(&self, password: Secret<String>) -> Result<Secret<String>, ShopError> {
        let turn = self.turn().await?;
        Ok(blocking(turn, move || hash(&password)).await)
    }

    /// Whether `password` is the one of `kept`; without one the same work is done, for nothing.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`] when too many wait; then nothing was judged.
    pub(super) async fn judge(
        &self,
        password: Secret<String>,
        kept: Option<Secret<String>>,
    ) -> Result<bool, ShopError> {
        let turn = self.turn().await?;
        let judged = Arc::clone(&self.judged);
        let judging = move || {
            let nobody = nobody();
            let against = kept.as_ref().unwrap_or(nobody);
            let fits = fits(&password, against);
            judged.fetch_add(1, Ordering::Relaxed);
            fits && kept.is_some()
        };
        Ok(blocking(turn, judging).await)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, ShopError> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            drop(Waiting(&self.waiting));
            let retry_after_s = RETRY_AFTER_S;
            return Err(ShopError::RateLimited { retry_after_s });
        }
        let waiting = Waiting(&self.waiting);
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        drop(waiting);
        Ok(turn.expect("the turns are never closed"))
    }
}

/// Runs `work` on a blocking thread; the turn is given back when the work has ended.
async fn blocking<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    working.await.expect("hashing does not panic")
}

fn hash(password: &Secret<String>) -> Secret<String> {
    let salt: [u8; 16] = secret::random();
    let hashed = Argon2::default().hash_password_with_salt(password.reveal().as_bytes(), &salt);
    let hashed = hashed.expect("default parameters and a 16-byte salt");
    Secret::new(hashed.to_string())
}

fn fits(password: &Secret<String>, kept: &Secret<String>) -> bool {
    let (password, kept) = (password.reveal().as_bytes(), kept.reveal().as_str());
    Argon2::default().verify_password(password, kept).is_ok()
}

/// The hash of a password that nobody has: a name that does not exist is judged against it.
fn nobody() -> &'static Secret<String> {
    static HASH: OnceLock<Secret<String>> = OnceLock::new();
    HASH.get_or_init(|| hash(&Secret::new(secret::random_text(32))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_no_name_fits_none() {
        let passwords = Passwords::default();
        let right = || Secret::from("correct horse");
        let kept = passwords.hash(right()).await.unwrap();
        assert!(kept.reveal().starts_with("$argon2id$"));
        assert!(passwords.judge(right(), Some(kept.clone())).await.unwrap());
        let wrong = Secret::from("correct horsf");
        assert!(!passwords.judge(wrong, Some(kept)).await.unwrap());
        assert!(!passwords.judge(right(), None).await.unwrap());
        assert_eq!(passwords.judged(), 3);
    }

    #[tokio::test]
    async fn a_flood_is_worked_out_a_few_at_a_time_and_the_rest_is_turned_away() {
        let passwords = Arc::new(Passwords::default());
        let held = Arc::clone(&passwords.turns)
            .acquire_many_owned(u32::try_from(Passwords::at_once()).unwrap())
            .await
            .unwrap();
        let attempts: Vec<_> = (0..WAITING_MAX + 10)
            .map(|_| {
                let passwords = Arc::clone(&passwords);
                tokio::spawn(async move { passwords.judge(Secret::from("guess"), None).await })
            })
            .collect();
        while passwords.waiting.load(Ordering::Relaxed) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(passwords.judged(), 0);
        drop(held);
        let mut turned_away = 0;
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(fits) => assert!(!fits),
                Err(error) => {
                    assert!(matches!(error, ShopError::RateLimited { .. }), "{error}");
                    turned_away += 1;
                }
            }
        }
        assert_eq!(turned_away, 10);
        assert_eq!(passwords.judged(), WAITING_MAX as u64);
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0);
    }
}
