//! `admin` and `key`: done by the running server when there is one, else on the store itself.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::Config;
use super::exit::Failure;
use super::serve;
use super::socket::{self, Reply};
use crate::base::Secret;
use crate::shop::Shop;

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
    /// Creates an API key.
    #[serde(rename = "key.create")]
    KeyCreate {
        /// Its name.
        name: String,
    },
}

/// Does what a line on the admin socket asks for.
pub async fn reply(shop: &Shop, line: &str) -> Reply {
    match serde_json::from_str(line) {
        Ok(request) => run(shop, request).await,
        Err(error) => {
            // serde quotes what it does not know, and that may be a password out of place.
            let (line, column) = (error.line(), error.column());
            Reply::Error(format!("请求看不懂（第 {line} 行第 {column} 列）"))
        }
    }
}

async fn run(shop: &Shop, request: Request) -> Reply {
    let now = shop.clock().now();
    let done = match request {
        Request::AdminCreate { name, password } => {
            let created = shop
                .create_admin(name.clone(), Secret::new(password), now)
                .await;
            created.map(|()| json!({ "name": name }))
        }
        Request::KeyCreate { name } => {
            let created = shop.create_key(name, now).await;
            created.map(|new| json!({ "id": new.id, "key": new.key.reveal() }))
        }
    };
    match done {
        Ok(done) => Reply::Ok(done),
        Err(error) => Reply::Error(error.to_string()),
    }
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
