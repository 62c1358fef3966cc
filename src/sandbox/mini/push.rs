//! A message push as WeChat writes it, plain or sealed, in XML or JSON; and forged ones. Pure.
//!
//! Source: 小程序 · 消息推送.

use data_encoding::{BASE64, BASE64_NOPAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::secret::{random, random_text};
use crate::base::xml::Fields;
use crate::base::{Timestamp, cipher, hash};
use crate::sandbox::credentials::Credentials;

/// The secure mode pads to this many bytes, twice the cipher's block.
const BLOCK: usize = 32;
const FOREIGN_APPID: &str = "wxffffffffffffffff";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Plain,
    #[default]
    Secure,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    Xml,
    #[default]
    Json,
}

/// What is wrong with a push on purpose; each kind is wrong in one thing only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Forged {
    #[default]
    Nothing,
    /// The signature is of another text.
    Signature,
    /// Signed with another token.
    Token,
    /// Rightly signed, an hour old.
    Stale,
    /// One character of `Encrypt` altered after signing.
    Body,
    /// Rightly signed and sealed, for another mini program.
    Appid,
    /// Rightly signed, the padding broken.
    Padding,
    /// Rightly signed, the inner length too large.
    Length,
}

impl Forged {
    /// Whether it is something that only a sealed push has.
    pub(super) fn needs_sealing(self) -> bool {
        match self {
            Self::Nothing | Self::Signature | Self::Token | Self::Stale => false,
            Self::Body | Self::Appid | Self::Padding | Self::Length => true,
        }
    }
}

/// An event, its own fields beside the five that all have.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) fields: Map<String, Value>,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    pub(super) mode: Mode,
    pub(super) format: Format,
    pub(super) forged: Forged,
}

/// A push on the wire: what follows `?`, and the body.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) query: String,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// The original id of the mini program: its messages are addressed to it.
fn gh_id(whose: &Credentials) -> String {
    let digest = hash::md5_hex(whose.appid.as_str().as_bytes());
    format!("gh_{}", &digest[..12])
}

/// Writes `event` as it would be sent at `now`.
pub(super) fn write(whose: &Credentials, event: &Event, style: Style, now: Timestamp) -> Push {
    let Style {
        mode,
        format,
        forged,
    } = style;
    let hour = std::time::Duration::from_secs(3600);
    let at = match forged {
        Forged::Stale => now.minus(hour),
        _ => now,
    };
    let (timestamp, nonce) = (at.unix().to_string(), random_text(10));
    let sign = |sealed: Option<&str>| signature(whose, (&timestamp, &nonce), sealed, forged);
    let message = document(message(whose, event, at), format);
    let (query, body) = match mode {
        Mode::Plain => (String::new(), message),
        Mode::Secure => {
            let sealed = sealed(whose, message.as_bytes(), forged);
            let extra = format!("&encrypt_type=aes&msg_signature={}", sign(Some(&sealed)));
            let sealed = match forged {
                Forged::Body => altered(&sealed),
                _ => sealed,
            };
            let envelope = json!({"ToUserName": gh_id(whose), "Encrypt": sealed});
            (extra, document(envelope, format))
        }
    };
    // In the secure mode `signature` covers no body and stays right whatever else is forged.
    let plain = match mode {
        Mode::Plain => sign(None),
        Mode::Secure => signature(whose, (&timestamp, &nonce), None, Forged::Nothing),
    };
    Push {
        query: format!("signature={plain}&timestamp={timestamp}&nonce={nonce}{query}"),
        content_type: match format {
            Format::Xml => "text/xml",
            Format::Json => "application/json",
        },
        body,
    }
}

/// The query of the check that the console makes when a URL is entered.
pub(super) fn url_check(whose: &Credentials, now: Timestamp) -> (String, String) {
    let (timestamp, nonce, echo) = (now.unix().to_string(), random_text(10), random_text(19));
    let signature = signature(whose, (&timestamp, &nonce), None, Forged::Nothing);
    let query = format!("signature={signature}&timestamp={timestamp}&nonce={nonce}&echostr={echo}");
    (query, echo)
}

fn message(whose: &Credentials, event: &Event, at: Timestamp) -> Value {
    let mut fields = event.fields.clone();
    fields.insert("ToUserName".to_owned(), json!(gh_id(whose)));
    let sender = fields.entry("FromUserName".to_owned());
    sender.or_insert_with(|| json!("oSystem_sends_trade_messages"));
    fields.insert("CreateTime".to_owned(), json!(at.unix()));
    fields.insert("MsgType".to_owned(), json!("event"));
    fields.insert("Event".to_owned(), json!(event.name));
    Value::Object(fields)
}

fn document(message: Value, format: Format) -> String {
    let Value::Object(fields) = message else {
        return message.to_string();
    };
    match format {
        Format::Json => Value::Object(fields).to_string(),
        Format::Xml => {
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let fields = fields.into_iter().map(|(name, value)| (name, text(value)));
            fields.collect::<Fields>().to_xml()
        }
    }
}

/// Hexadecimal SHA-1 of token, timestamp, nonce and, in the secure mode, what is sealed: sorted
/// as texts. Source: 小程序 · 消息推送 · 验证消息的确来自微信服务器.
fn signature(
    whose: &Credentials,
    (timestamp, nonce): (&str, &str),
    sealed: Option<&str>,
    forged: Forged,
) -> String {
    let token = match forged {
        Forged::Token => random_text(32),
        _ => whose.message_token().reveal().clone(),
    };
    let mut parts = vec![token.as_str(), timestamp, nonce];
    parts.extend(sealed);
    parts.sort_unstable();
    let right = hash::sha1_hex(parts.concat().as_bytes());
    match forged {
        Forged::Signature => hash::sha1_hex(right.as_bytes()),
        _ => right,
    }
}

/// 16 random bytes, 4 bytes of length, the message, the appid; padded to 32, sealed, base64.
fn sealed(whose: &Credentials, message: &[u8], forged: Forged) -> String {
    let appid = match forged {
        Forged::Appid => FOREIGN_APPID,
        _ => whose.appid.as_str(),
    };
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let length = match forged {
        Forged::Length => length.saturating_add(10_000),
        _ => length,
    };
    let head = random::<16>();
    let mut plain = [&head[..], &length.to_be_bytes(), message, appid.as_bytes()].concat();
    let count = BLOCK - plain.len() % BLOCK;
    let padding = u8::try_from(count).unwrap_or(0);
    plain.extend(std::iter::repeat_n(padding, count));
    if let (Forged::Padding, Some(last)) = (forged, plain.last_mut()) {
        *last = 33;
    }
    let key = aes_key(whose);
    let sealed = cipher::cbc256_seal_unpadded(&key, &key[..16], &plain);
    BASE64.encode(&sealed.expect("whole blocks under a key of 32 bytes"))
}

/// The 43 characters and a `=` are 32 bytes; the last character's two spare bits are no matter.
fn aes_key(whose: &Credentials) -> Vec<u8> {
    let mut lenient = BASE64_NOPAD.specification();
    lenient.check_trailing_bits = false;
    let lenient = lenient.encoding().expect("base64 without one check");
    let key = lenient.decode(whose.message_aes_key().reveal().as_bytes());
    key.expect("43 characters of base64")
}

fn altered(sealed: &str) -> String {
    let other = match sealed.as_bytes().first() {
        Some(b'A') => 'B',
        _ => 'A',
    };
    format!("{other}{}", &sealed[1..])
}
