//! What the demo plays on: the simulator, and shops configured as a merchant would configure them.

use std::net::{Ipv4Addr, SocketAddr};

use data_encoding::BASE64;

use crate::base::Clock;
use crate::base::secret::{random, random_text};
use crate::cli::config::{self, Config};
use crate::cli::exit::Failure;
use crate::cli::parts;
use crate::cli::serve::Running;
use crate::cli::tempdir::TempDir;
use crate::sandbox::{self, Credentials};

/// The simulator, and a directory for the shops.
pub(super) struct Stage<'a> {
    dir: &'a TempDir,
    clock: Clock,
    wechat: sandbox::Running,
}

/// A shop of the demo, and the API key of its merchant.
pub(super) struct Shop {
    pub(super) running: Running,
    pub(super) url: String,
    pub(super) key: String,
}

impl<'a> Stage<'a> {
    /// Starts the simulator with an account made up for this run.
    ///
    /// # Errors
    /// [`Failure::Failed`]: no port, or no room for its keys.
    pub(super) async fn set(dir: &'a TempDir) -> Result<Self, Failure> {
        let clock = Clock::system();
        let mut credentials = Credentials::generate();
        let saved = credentials.save(&dir.path().join("wechat"));
        saved.map_err(|why| Failure::Failed(why.to_string()))?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let wechat = sandbox::start(listen, clock.clone(), credentials).await;
        let wechat = wechat.map_err(|why| Failure::Failed(why.to_string()))?;
        Ok(Self { dir, clock, wechat })
    }

    /// Where the simulator is.
    pub(super) fn simulator(&self) -> &str {
        self.wechat.url()
    }

    /// Lets the page of the buyer's phone play against `shop`.
    ///
    /// # Errors
    /// [`Failure::Failed`] when the shop listens where only others reach it.
    pub(super) fn show_on_the_phone(&self, shop: &Shop) -> Result<(), Failure> {
        let set = self.wechat.sandbox().set_shop(&shop.url);
        set.map_err(|why| Failure::Failed(why.message))
    }

    /// Opens a shop on a fresh store, whose new payments speak `version`.
    ///
    /// # Errors
    /// [`Failure`], as the server itself would fail.
    pub(super) async fn open(&self, listen: SocketAddr, version: &str) -> Result<Shop, Failure> {
        let mut config = self.config(version)?;
        let server = parts::bind(&config, listen, self.clock.clone()).await?;
        let mut reached = server.local_addr();
        if reached.ip().is_unspecified() {
            reached.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let url = format!("http://{reached}");
        config.server.public_url.clone_from(&url);
        let running = Running::start(config, server, self.clock.clone()).await?;
        let key = running
            .shop()
            .create_key("demo".to_owned(), self.clock.now())
            .await;
        let key = key.map_err(|why| Failure::failed("无法新建 API 密钥", why))?;
        Ok(Shop {
            running,
            url,
            key: key.key.reveal().clone(),
        })
    }

    /// A configuration as a merchant would write it, read as theirs is read. The address is not
    /// known yet: port 0 is a port once it is taken.
    fn config(&self, version: &str) -> Result<Config, Failure> {
        let data_dir = self.dir.path().join(version);
        let text = format!(
            "[server]\npublic_url = \"http://127.0.0.1\"\n\
             [store]\ndata_dir = {}\nreserve_mb = 0\nmin_free_mb = 0\n\
             field_key = \"{}\"\n[token]\nsalt = \"{}\"\n{}",
            toml::Value::from(&*data_dir.to_string_lossy()),
            BASE64.encode(&random::<32>()),
            random_text(32),
            self.wechat.sandbox().config_toml(),
        );
        let version = (
            "ZHANGGUI_WECHAT__PAY__VERSION".to_owned(),
            version.to_owned(),
        );
        let config = config::parse(&text, std::iter::once(version));
        let file = "（演示）".to_owned();
        Ok(config.map_err(|list| config::Faults { file, list })?)
    }

    /// Stops the simulator.
    pub(super) async fn clear(self) {
        self.wechat.stop().await;
    }
}
