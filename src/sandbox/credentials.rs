//! The accounts the simulator stands for: one mini program, one merchant, WeChat Pay's public key.
//!
//! They are made up at start, or kept in a directory whose files only the owner can read.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64_NOPAD, HEXLOWER, HEXUPPER};
use serde::{Deserialize, Serialize};

use crate::base::rsa::{BadKey, PrivateKey, PublicKey};
use crate::base::secret::{random, random_text, random_u64};
use crate::base::{AppId, MchId, Secret, hash};

const ACCOUNT_FILE: &str = "sandbox.json";
const MERCHANT_KEY_FILE: &str = "merchant_key.pem";
const WECHAT_KEY_FILE: &str = "wechat_private_key.pem";
const WECHAT_PUBLIC_FILE: &str = "wechat_public_key.pem";

/// Everything WeChat and a merchant agree on before the first call.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The mini program.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: Secret<String>,
    /// The merchant number, bound to `appid`.
    pub mchid: MchId,
    /// The APIv2 key: 32 characters.
    pub v2_key: Secret<String>,
    /// The APIv3 key: 32 characters.
    pub v3_key: Secret<String>,
    /// The serial of the merchant's certificate: 40 upper-case hexadecimal digits.
    pub merchant_serial: String,
    /// The merchant's private key, PKCS#8 PEM.
    pub merchant_key_pem: Secret<String>,
    /// `PUB_KEY_ID_…`.
    pub wechat_key_id: String,
    /// The private half of WeChat Pay's key, PKCS#8 PEM: the simulator signs with it.
    pub wechat_key_pem: Secret<String>,
    dir: PathBuf,
}

/// Why kept credentials cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read or written.
    #[error("模拟器的密钥文件读写失败 (cannot read or write {0}): {1}")]
    File(PathBuf, io::Error),
    /// The account file is not what this program writes.
    #[error("模拟器的账号文件无效 (not an account file): {0}")]
    Account(PathBuf),
    /// A key is not an RSA key in PEM.
    #[error("模拟器的密钥无效 (bad key): {0}")]
    Key(#[from] BadKey),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    appid: AppId,
    secret: String,
    mchid: MchId,
    v2_key: String,
    v3_key: String,
    merchant_serial: String,
    wechat_key_id: String,
}

/// The keys in a form that works.
pub(super) struct Keys {
    pub(super) merchant: PublicKey,
    pub(super) wechat: PrivateKey,
}

impl Credentials {
    /// Makes up an account with two fresh RSA keys.
    pub fn generate() -> Self {
        let number = |digits: u64| random_u64() % digits;
        Self {
            appid: format!("wx{}", HEXLOWER.encode(&random::<8>()))
                .parse()
                .expect("18 letters and digits"),
            secret: Secret::new(HEXLOWER.encode(&random::<16>())),
            mchid: format!("19{:08}", number(100_000_000))
                .parse()
                .expect("10 digits"),
            v2_key: Secret::new(random_text(32)),
            v3_key: Secret::new(random_text(32)),
            merchant_serial: HEXUPPER.encode(&random::<20>()),
            merchant_key_pem: Secret::new(PrivateKey::generate().to_pem()),
            wechat_key_id: format!(
                "PUB_KEY_ID_{:016}{:016}",
                number(10_u64.pow(16)),
                number(10_u64.pow(16))
            ),
            wechat_key_pem: Secret::new(PrivateKey::generate().to_pem()),
            dir: PathBuf::new(),
        }
    }

    /// Reads the account kept in `dir`, or makes one up and keeps it there.
    ///
    /// # Errors
    /// [`CredentialsError`], naming the file.
    pub fn load_or_generate(dir: &Path) -> Result<Self, CredentialsError> {
        if dir.join(ACCOUNT_FILE).exists() {
            return Self::load(dir);
        }
        let mut credentials = Self::generate();
        credentials.save(dir)?;
        Ok(credentials)
    }

    /// Reads what [`Credentials::save`] wrote.
    ///
    /// # Errors
    /// [`CredentialsError`], naming the file.
    pub fn load(dir: &Path) -> Result<Self, CredentialsError> {
        let path = dir.join(ACCOUNT_FILE);
        let text = read(&path)?;
        let Ok(account) = serde_json::from_str::<Account>(&text) else {
            return Err(CredentialsError::Account(path));
        };
        let credentials = Self {
            appid: account.appid,
            secret: Secret::new(account.secret),
            mchid: account.mchid,
            v2_key: Secret::new(account.v2_key),
            v3_key: Secret::new(account.v3_key),
            merchant_serial: account.merchant_serial,
            merchant_key_pem: Secret::new(read(&dir.join(MERCHANT_KEY_FILE))?),
            wechat_key_id: account.wechat_key_id,
            wechat_key_pem: Secret::new(read(&dir.join(WECHAT_KEY_FILE))?),
            dir: dir.to_owned(),
        };
        credentials.keys()?;
        Ok(credentials)
    }

    /// Keeps the account and its keys in `dir` (0700), in files only the owner can read (0600).
    ///
    /// # Errors
    /// [`CredentialsError`], naming the file.
    pub fn save(&mut self, dir: &Path) -> Result<(), CredentialsError> {
        let account = Account {
            appid: self.appid.clone(),
            secret: self.secret.reveal().clone(),
            mchid: self.mchid.clone(),
            v2_key: self.v2_key.reveal().clone(),
            v3_key: self.v3_key.reveal().clone(),
            merchant_serial: self.merchant_serial.clone(),
            wechat_key_id: self.wechat_key_id.clone(),
        };
        let account = serde_json::to_string_pretty(&account).expect("plain texts");
        let public = self.keys()?.wechat.public().to_pem();
        let mut private_dir = std::fs::DirBuilder::new();
        private_dir
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| CredentialsError::File(dir.to_owned(), e))?;
        write(&dir.join(MERCHANT_KEY_FILE), self.merchant_key_pem.reveal())?;
        write(&dir.join(WECHAT_KEY_FILE), self.wechat_key_pem.reveal())?;
        write(&dir.join(WECHAT_PUBLIC_FILE), &public)?;
        // Last: where it stands, the keys stand too.
        write(&dir.join(ACCOUNT_FILE), &account)?;
        self.dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        Ok(())
    }

    /// The `[wechat]` and `[wechat.pay]` sections with which a server talks to this simulator.
    ///
    /// The key files named are those of [`Credentials::save`].
    pub fn config_toml(&self, base_url: &str) -> String {
        let file = |name: &str| quoted(&self.dir.join(name).to_string_lossy());
        let lines = [
            "[wechat]".to_owned(),
            format!("appid = {}", quoted(self.appid.as_str())),
            format!("secret = {}", quoted(self.secret.reveal())),
            format!("api_base = {}", quoted(base_url)),
            format!("message_token = {}", quoted(self.message_token().reveal())),
            format!(
                "message_aes_key = {}",
                quoted(self.message_aes_key().reveal())
            ),
            "[wechat.pay]".to_owned(),
            "version = \"v3\"                   # v2 | v3".to_owned(),
            format!("mchid = {}", quoted(self.mchid.as_str())),
            format!("api_base = {}", quoted(base_url)),
            format!("v2_key = {}", quoted(self.v2_key.reveal())),
            "v2_sign_type = \"HMAC-SHA256\"     # HMAC-SHA256 | MD5".to_owned(),
            format!("v3_key = {}", quoted(self.v3_key.reveal())),
            format!("merchant_serial = {}", quoted(&self.merchant_serial)),
            format!("merchant_key_file = {}", file(MERCHANT_KEY_FILE)),
            format!("wechat_public_key_id = {}", quoted(&self.wechat_key_id)),
            format!("wechat_public_key_file = {}", file(WECHAT_PUBLIC_FILE)),
        ];
        lines.join("\n") + "\n"
    }

    /// The token of message pushes: made of the AppSecret, so that a kept account has it too.
    pub(super) fn message_token(&self) -> Secret<String> {
        Secret::new(HEXLOWER.encode(&self.derived(b"message token")[..16]))
    }

    /// `EncodingAESKey`: 43 letters and digits.
    pub(super) fn message_aes_key(&self) -> Secret<String> {
        let text = BASE64_NOPAD.encode(&self.derived(b"message aes key"));
        Secret::new(text.replace(['+', '/'], "x"))
    }

    fn derived(&self, name: &[u8]) -> [u8; 32] {
        hash::hmac_sha256(self.secret.reveal().as_bytes(), name)
    }

    pub(super) fn keys(&self) -> Result<Keys, BadKey> {
        Ok(Keys {
            merchant: PrivateKey::from_pem(self.merchant_key_pem.reveal())?.public(),
            wechat: PrivateKey::from_pem(self.wechat_key_pem.reveal())?,
        })
    }
}

/// A TOML basic string; JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

fn read(path: &Path) -> Result<String, CredentialsError> {
    std::fs::read_to_string(path).map_err(|e| CredentialsError::File(path.to_owned(), e))
}

fn write(path: &Path, text: &str) -> Result<(), CredentialsError> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| CredentialsError::File(path.to_owned(), e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn kept_credentials_come_back_and_only_their_owner_can_read_them() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("keys");
        let made = Credentials::load_or_generate(&dir).unwrap();
        let kept = Credentials::load_or_generate(&dir).unwrap();
        assert_eq!(made.config_toml("http://x"), kept.config_toml("http://x"));
        assert_eq!(made.wechat_key_pem.reveal(), kept.wechat_key_pem.reveal());
        for name in [ACCOUNT_FILE, MERCHANT_KEY_FILE, WECHAT_KEY_FILE] {
            let mode = std::fs::metadata(dir.join(name)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn the_config_names_the_keys_of_both_protocols() {
        let home = tempfile::tempdir().unwrap();
        let mut made = Credentials::generate();
        made.save(home.path()).unwrap();
        let config = made.config_toml("http://127.0.0.1:9090");
        let value = |name: &str| {
            let start = format!("{name} = \"");
            let line = config.lines().find_map(|line| line.strip_prefix(&start));
            line.and_then(|rest| rest.split('"').next()).unwrap()
        };
        assert!(config.starts_with("[wechat]\nappid = \"wx"), "{config}");
        assert_eq!(value("v2_key"), made.v2_key.reveal());
        assert_eq!(value("v3_key").len(), 32);
        assert_eq!(made.merchant_serial.len(), 40);
        let public = std::fs::read_to_string(value("wechat_public_key_file"));
        assert!(PublicKey::from_pem(&public.unwrap()).is_ok());
        let private = std::fs::read_to_string(value("merchant_key_file"));
        assert!(PrivateKey::from_pem(&private.unwrap()).is_ok());
    }
}
