//! Plays one history: draws what happens next, keeps the shop alive, and lets all of it settle.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::ask::Ask;
use super::happenings::{Happening, draw};
use super::ledger::Buyer;
use super::weather::Weather;
use super::world::World;
use crate::base::trial;
use crate::store::StartFault;
use crate::web::Method;

/// How many things are begun in one history.
const EVENTS: u64 = 250;
pub(super) const BUYERS: usize = 4;
/// How the shop comes to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Killed; the machine stays on.
    Killed,
    /// The machine loses power.
    PowerCut,
}

impl World {
    /// Plays the whole history; what is wrong with it is in [`World::broken`].
    pub(super) async fn play(self: &Arc<Self>) {
        self.let_wechat_work();
        self.begin().await;
        let dies_at = 60 + self.random().below(100);
        for event in 0..EVENTS {
            self.tend().await;
            if event == dies_at {
                self.die(End::Killed).await;
            }
            if self.broken().is_some() {
                return;
            }
            self.happen().await;
            let (hurry, short, long) = {
                let mut random = self.random();
                (
                    random.percent(50),
                    random.within_ms(25),
                    random.within_ms(1500),
                )
            };
            tokio::time::sleep(if hurry { short } else { long }).await;
        }
        self.settle().await;
        if self.broken().is_none() {
            self.judge().await;
        }
    }

    /// A shop with goods in it, and people.
    async fn begin(self: &Arc<Self>) {
        self.rise().await;
        let life = self.life().expect("the machine is on");
        let key = life
            .shop
            .create_key("sim".to_owned(), self.clock.now())
            .await;
        self.ledger().api_key = key.expect("a healthy store").key.reveal().clone();
        for number in 0..3 {
            // Some goods are soon sold out: then late money finds no stock to take again.
            let stock = match number {
                0 => 2 + self.random().below(6),
                _ => 10 + self.random().below(60),
            };
            let price_fen = 1 + self.random().below(5000);
            let goods = json!({
                "title": format!("goods {number}"), "price_fen": price_fen, "stock": stock,
            });
            let key = self.ledger().api_key.clone();
            let ask = Ask::post("/admin/v1/goods").by(&key).with(goods);
            let made = self.look(&ask).await.expect("a healthy shop");
            let id = made.body["id"].as_u64().expect("goods have ids");
            self.ledger().stock.insert(id, stock);
        }
        for _ in 0..BUYERS {
            let made = self
                .at_wechat(Method::POST, "/sandbox/login-codes", &json!({}))
                .await;
            let openid = made.text("openid");
            self.ledger().buyers.push(Buyer {
                openid,
                token: None,
            });
        }
        let push = json!({ "url": "http://127.0.0.1:2/wx/message" });
        let set = self.at_wechat(Method::PUT, "/sandbox/message-push", &push);
        assert!(set.await.is_good(), "the shop echoes the check of its URL");
        self.weather().rough_percent = 6;
    }

    /// Starts the shop, as often as it takes.
    async fn rise(self: &Arc<Self>) {
        loop {
            match self.start() {
                Ok(()) => return,
                Err(StartFault::Off) => {
                    self.note("the power goes again during the start");
                    self.machine.cut_power();
                }
                Err(StartFault::Refused(why)) => {
                    self.broke(format!("the journal was refused: {why}"));
                    return;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends the shop and starts it again.
    pub(super) async fn die(self: &Arc<Self>, end: End) {
        self.note(format!("the shop ends: {end:?}"));
        trial::met(format!("fault {end:?}"));
        self.end();
        let (down, again) = {
            let mut random = self.random();
            (
                random.within_ms(4000),
                random.percent(20).then(|| random.below(6)),
            )
        };
        match end {
            End::Killed => self.machine.restart_program(),
            End::PowerCut => self.machine.cut_power(),
        }
        if let Some(operations) = again {
            self.machine.cut_after(operations);
        }
        tokio::time::sleep(down).await;
        self.rise().await;
        self.survey().await;
    }

    /// A shop whose store failed ends by itself, and whoever runs it starts it again.
    async fn tend(self: &Arc<Self>) {
        let failed = self.life().and_then(|life| life.store.health().err());
        if let Some(why) = failed {
            self.note(format!("the store failed: {why}"));
            trial::met("fault store failed");
            let end = if why.contains("power") {
                End::PowerCut
            } else {
                End::Killed
            };
            self.die(end).await;
        }
    }

    /// Begins the next thing, and waits for none of what people do.
    async fn happen(self: &Arc<Self>) {
        let happening = draw(&mut self.random());
        trial::met(format!("happening {happening:?}"));
        match happening {
            Happening::Person(act) => {
                let (world, buyer) = (Arc::clone(self), self.random().place(BUYERS));
                self.spawn(async move { world.act(act, buyer).await });
            }
            Happening::Blow(blow) => self.strike(blow).await,
        }
    }

    /// Lets all that is under way come to its end: nothing goes wrong any more, and time passes.
    async fn settle(self: &Arc<Self>) {
        self.note("everything settles");
        *self.weather() = Weather::default();
        self.at_wechat(Method::PUT, "/sandbox/faults", &json!({}))
            .await;
        self.end_all_refunds().await;
        self.die(End::PowerCut).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        self.end_all_refunds().await;
        self.spoil_bills().await;
        for (times, jump_s) in [(20, 30), (20, 300), (48, 3600), (11, 86_400)] {
            for _ in 0..times {
                self.tend().await;
                self.clock.advance(jump_s);
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        }
    }
}
