//! One life of the program: a store, a shop, its background work, the requests in its hands. It
//! can end between any two steps of any of them.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::AbortHandle;

use crate::base::Clock;
use crate::routes;
use crate::shop::Shop;
use crate::store::Store;
use crate::web::local::Local;
use crate::web::{ClientError, Incoming, Outgoing, Router};

/// See the module.
pub(super) struct Life {
    pub(super) shop: Arc<Shop>,
    pub(super) store: Store,
    site: Local<Shop>,
    tasks: Mutex<Vec<AbortHandle>>,
    ended: AtomicBool,
}

/// Who calls, as the shop sees it.
pub(super) const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

impl Life {
    pub(super) fn new(shop: Arc<Shop>, store: Store, clock: Clock) -> Self {
        let router = Router::new(routes::table());
        Self {
            site: Local::new(router, Arc::clone(&shop), clock),
            shop,
            store,
            tasks: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// Runs `work` until it ends or this life does.
    pub(super) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.keep(tokio::spawn(work).abort_handle());
    }

    fn keep(&self, task: AbortHandle) {
        let mut tasks = self.tasks.lock().unwrap();
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
        if self.has_ended() {
            tasks.iter().for_each(AbortHandle::abort);
        }
    }

    /// Sends a request to this life. The handler runs to its end whatever becomes of the caller.
    pub(super) async fn call(self: &Arc<Self>, request: Outgoing) -> Result<Incoming, ClientError> {
        if self.has_ended() {
            return Err(ClientError::NotSent("refused".to_owned()));
        }
        let life = Arc::clone(self);
        let answering = tokio::spawn(async move { life.site.call(request, CALLER).await });
        self.keep(answering.abort_handle());
        match answering.await {
            Ok(answer) => Ok(answer),
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(ClientError::Broken("the program ended".to_owned())),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends everything at the step it is at.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        let tasks = self.tasks.lock().unwrap();
        tasks.iter().for_each(AbortHandle::abort);
    }
}
