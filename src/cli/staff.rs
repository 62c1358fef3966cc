//! `admin`, `key`, `order`, `reconcile`: done by the running server when there is one, else on the
//! store itself.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::Config;
use super::exit::Failure;
use super::serve;
use super::socket::{self, Reply};
use super::{backup, export, reconcile};
use crate::base::{Day, Secret};
use crate::model::Refusal;
use crate::routes::order_json;
use crate::shop::{Shop, ShopError};

/// What a command asks for; on the admin socket one JSON object a line.
#[derive(Serialize, Deserialize)]
#[serde(tag = "command", deny_unknown_fields)]
pub enum Request {
    /// Creates an admin.
    #[serde(rename = "admin.create")]
    AdminCreate {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// Gives an admin a new password.
    #[serde(rename = "admin.password")]
    AdminPassword {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// Gives an admin a new second factor.
    #[serde(rename = "admin.totp")]
    AdminTotp {
        /// The name.
        name: String,
    },
    /// Takes an admin's second factor away.
    #[serde(rename = "admin.totp.off")]
    AdminTotpOff {
        /// The name.
        name: String,
    },
    /// Tells everything about an order.
    #[serde(rename = "order.show")]
    OrderShow {
        /// Its number, as it was typed.
        order_no: String,
    },
    /// Creates an API key.
    #[serde(rename = "key.create")]
    KeyCreate {
        /// Its name.
        name: String,
    },
    /// Begin to back up the store.
    #[serde(rename = "backup")]
    Backup {
        /// Where to: an absolute path.
        dest: PathBuf,
    },
    /// Tell how far a backup has come.
    #[serde(rename = "backup.look")]
    BackupLook {
        /// Its name.
        id: String,
    },
    /// Give the next rows of the table of orders.
    #[serde(rename = "export.orders")]
    ExportOrders {
        /// Placed on this day or later.
        from: Option<Day>,
        /// Placed on this day or earlier.
        to: Option<Day>,
        /// Where the part before ended.
        cursor: Option<String>,
    },
    /// Calls a webhook endpoint again.
    #[serde(rename = "webhook.replay")]
    WebhookReplay {
        /// Its number.
        id: u64,
    },
    /// Begin to compare the bill of a day.
    #[serde(rename = "reconcile")]
    Reconcile {
        /// The day.
        day: Day,
    },
    /// Tell how far comparing the bill of a day has come.
    #[serde(rename = "reconcile.look")]
    ReconcileLook {
        /// The day.
        day: Day,
    },
}

/// Does what a line on the admin socket asks for.
pub async fn reply(shop: &Arc<Shop>, line: &str) -> Reply {
    match serde_json::from_str(line) {
        Ok(request) => run(shop, request).await,
        Err(error) => {
            // serde quotes what it does not know, and that may be a password out of place.
            let (line, column) = (error.line(), error.column());
            Reply::Error(format!("请求看不懂（第 {line} 行第 {column} 列）"))
        }
    }
}

async fn run(shop: &Arc<Shop>, request: Request) -> Reply {
    let now = shop.clock().now();
    let done = match request {
        Request::AdminCreate { name, password } => {
            let created = shop
                .create_admin(name.clone(), Secret::new(password), now)
                .await;
            created.map(|()| json!({ "name": name }))
        }
        Request::AdminPassword { name, password } => {
            let changed = shop.change_password(&name, Secret::new(password)).await;
            changed.map(|()| json!({ "name": name }))
        }
        Request::AdminTotp { name } => {
            let enrolled = shop.enrol_totp(&name).await;
            enrolled.map(|uri| json!({ "name": name, "uri": uri.reveal() }))
        }
        Request::AdminTotpOff { name } => {
            let dropped = shop.drop_totp(&name).await;
            dropped.map(|()| json!({ "name": name }))
        }
        Request::OrderShow { order_no } => show_order(shop, &order_no).await,
        Request::KeyCreate { name } => {
            let created = shop.create_key(name, now).await;
            created.map(|new| json!({ "id": new.id, "key": new.key.reveal() }))
        }
        Request::Backup { dest } => backup::begin(shop, dest).await,
        Request::BackupLook { id } => Ok(backup::look(shop, &id)),
        Request::ExportOrders { from, to, cursor } => {
            let wanted = export::wanted(from, to);
            let part = shop.export_orders(wanted, cursor).await;
            part.map(|part| json!({ "csv": part.csv, "next_cursor": part.next_cursor }))
        }
        Request::WebhookReplay { id } => match shop.replay_webhook(id, now).await {
            Ok(false) => return Reply::Error(format!("没有编号为 {id} 的 webhook 端点")),
            done => done.map(|_| json!({ "id": id })),
        },
        Request::Reconcile { day } => reconcile::begin(shop, day).await,
        Request::ReconcileLook { day } => reconcile::look(shop, day).await,
    };
    match done {
        Ok(done) => Reply::Ok(done),
        Err(error) => Reply::Error(error.to_string()),
    }
}

async fn show_order(shop: &Shop, order_no: &str) -> Result<Value, ShopError> {
    let order_no = order_no.parse().map_err(|_| Refusal::OrderNotFound)?;
    Ok(order_json(&shop.told_order(order_no).await?))
}

/// Has `request` done in the store of `config`, by whoever holds it.
///
/// # Errors
/// [`Failure::Failed`] with the reason.
pub fn ask(config: Config, request: Request) -> Result<Value, Failure> {
    let data_dir = &config.store.data_dir;
    let asked = socket::ask(data_dir, &request).map_err(|error| {
        Failure::failed("服务器中途断开，不知道是否已完成，请先查看再重试", error)
    })?;
    let reply = match asked {
        Some(reply) => reply,
        None => serve::with_shop(config, async |shop| run(&shop, request).await)?,
    };
    match reply {
        Reply::Ok(done) => Ok(done),
        Reply::Error(why) => Err(Failure::Failed(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Clock;
    use crate::cli::{config, parts};

    fn config(data_dir: &std::path::Path) -> Config {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[token]\nsalt = \"s\"\n[store]\ncache_mb = 1\n\
             data_dir = {data_dir:?}\n\
             field_key = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n\
             [wechat]\nappid = \"wx1\"\nsecret = \"s\"\n"
        );
        config::parse(&text, std::iter::empty()).unwrap()
    }

    fn key(data_dir: &std::path::Path) -> String {
        let name = "backend".to_owned();
        let created = ask(config(data_dir), Request::KeyCreate { name }).unwrap();
        created["key"].as_str().unwrap().to_owned()
    }

    fn refusal(data_dir: &std::path::Path) -> String {
        let (name, password) = ("boss".to_owned(), "short".to_owned());
        let refused = ask(config(data_dir), Request::AdminCreate { name, password });
        let Err(Failure::Failed(why)) = refused else {
            panic!("a short password was taken: {refused:?}");
        };
        why
    }

    #[test]
    fn a_command_does_the_same_with_and_without_a_server() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("store");
        let (stopped, refused) = (key(&data_dir), refusal(&data_dir));
        let served = serve::block_on(async {
            let config = config(&data_dir);
            let server = parts::bind(&config, config.server.listen, Clock::system()).await?;
            let running = serve::Running::start(config, server, Clock::system()).await?;
            let place = data_dir.clone();
            let asked = move || (key(&place), refusal(&place));
            let (key, refused_again) = tokio::task::spawn_blocking(asked).await.unwrap();
            assert_eq!(refused_again, refused);
            for key in [&stopped, &key] {
                assert!(running.shop().prove_key(key).await.is_ok());
            }
            running.stop().await?;
            Ok(key)
        });
        assert_ne!(served.unwrap(), stopped);
    }

    #[test]
    fn a_request_that_is_not_understood_is_not_repeated() {
        let line = r#"{"command":"admin.make","password":"correct horse"}"#;
        let text = serve::block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (shop, store) = parts::shop(config(dir.path()), Clock::system()).await?;
            let text = serde_json::to_string(&reply(&shop, line).await).unwrap();
            store.close().await.unwrap();
            Ok(text)
        });
        let text = text.unwrap();
        assert!(text.starts_with(r#"{"error":"#), "{text}");
        assert!(!text.contains("correct horse"), "{text}");
    }
}
