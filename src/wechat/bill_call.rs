//! Fetching a day's trade bill, in v2 or v3, into a file: asked for, downloaded, verified.
//!
//! Not the reading of its rows. The file has no name: it is gone with the last one who holds it,
//! also after a crash.
//!
//! Source: 微信支付 APIv2 · 下载交易账单; APIv3 · 申请交易账单, 下载账单.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::bill::NoBill;
use super::bill_file::{BillFault, BillFile};
use super::call::{Call, Stamp};
use super::client::Wechat;
use super::config::Version;
use super::error::{Cause, WechatError};
use super::pay_error;
use super::sending::{NONCE_LENGTH, not_answered};
use super::trace::Trace;
use super::v2::{self, SignType};
use crate::base::blocking::blocking;
use crate::base::xml::Fields;
use crate::base::{Day, secret};
use crate::web::{DownloadLimits, Method, Outgoing};

/// What one bill may cost: a million rows are some sixty megabytes of gzip, 400 without.
const LIMITS: DownloadLimits = DownloadLimits {
    within: Duration::from_secs(1800),
    idle: Duration::from_secs(60),
    limit_bytes: 2 * 1024 * 1024 * 1024,
};

/// What came of asking for a day's bill.
#[derive(Debug)]
pub enum Fetched {
    /// Nothing was traded that day.
    Empty,
    /// It is still being made: ask again in half an hour.
    NotReady,
    /// The bill, whole and verified.
    Bill(FetchedBill),
}

/// A verified bill.
#[derive(Debug)]
pub struct FetchedBill {
    /// The bill itself.
    pub file: BillFile<File>,
    /// How many rows it has.
    pub rows: u64,
}

impl Wechat {
    /// Fetches the trade bill of `day` in the configured protocol, through a file in `spool`.
    ///
    /// # Errors
    /// [`WechatError`]; `Unknown` also for a bill that was cut, altered, or does not add up.
    pub async fn bill(
        &self,
        day: Day,
        spool: &Path,
        trace: &Trace<'_>,
    ) -> Result<Fetched, WechatError> {
        match self.config.pay.version {
            Version::V2 => self.bill_v2(day, spool).await,
            Version::V3 => self.bill_v3(day, spool, trace).await,
        }
    }

    async fn bill_v2(&self, day: Day, spool: &Path) -> Result<Fetched, WechatError> {
        let (keys, payee) = (self.config.pay.v2()?, self.config.payee()?);
        let fields = Fields::from_iter([
            ("appid", payee.appid.to_string()),
            ("mch_id", payee.mchid.to_string()),
            ("bill_date", day.compact()),
            ("bill_type", "ALL".to_owned()),
            ("tar_type", "GZIP".to_owned()),
        ]);
        // The page of this call knows no sign_type, so it is signed with the default.
        let body = v2::order::signed_body(fields, nonce(), &keys.key, SignType::Md5);
        let base = self.config.pay.base.trim_end_matches('/');
        let request = Outgoing {
            method: Method::POST,
            url: format!("{base}/pay/downloadbill"),
            headers: vec![("content-type", "text/xml; charset=utf-8".to_owned())],
            body: body.into_bytes(),
        };
        let file = self.spooled(request, spool).await?;
        blocking(move || read_v2(BillFile::new(file))).await
    }

    async fn bill_v3(
        &self,
        day: Day,
        spool: &Path,
        trace: &Trace<'_>,
    ) -> Result<Fetched, WechatError> {
        let call = Call::V3 {
            method: Method::GET,
            path: format!("/v3/bill/tradebill?bill_date={day}&bill_type=ALL&tar_type=GZIP"),
            body: String::new(),
            sealed_for: None,
            read: read_link,
        };
        let link = match self.call(&call, trace).await {
            Ok(link) => link,
            Err(WechatError::Refused(refused)) if refused.code == "NO_STATEMENT_EXIST" => {
                return Ok(Fetched::Empty);
            }
            Err(WechatError::Refused(refused)) if refused.code == "STATEMENT_CREATING" => {
                return Ok(Fetched::NotReady);
            }
            Err(error) => return Err(error),
        };
        let (base, path) = self.ours(&link.download_url)?;
        let stamp = Stamp {
            now: trace.clock().now(),
            nonce_str: nonce(),
        };
        // Signed like any other call; its answer is not signed, the hash stands for that.
        let download = Call::V3 {
            path: path.to_owned(),
            method: Method::GET,
            body: String::new(),
            sealed_for: None,
            read: |_: &[u8]| Ok(()),
        };
        let request = download.outgoing(&self.config, base, stamp)?;
        let file = self.spooled(request, spool).await?;
        blocking(move || verified(BillFile::new(file), Some(&link.hash_value))).await
    }

    /// The host of ours that `url` leads to, and the rest of it byte for byte.
    fn ours<'u>(&'u self, url: &'u str) -> Result<(&'u str, &'u str), WechatError> {
        let pay = &self.config.pay;
        let mut hosts = [Some(pay.base.as_str()), pay.base_2.as_deref()].into_iter();
        let found = hosts.find_map(|base| Some((base?, local_path(url, base?)?)));
        let foreign = "账单下载地址不在微信支付的主机上，不予访问";
        found.ok_or_else(|| WechatError::Unknown(foreign.to_owned()))
    }

    /// Downloads into a file that has no name.
    async fn spooled(&self, request: Outgoing, spool: &Path) -> Result<File, WechatError> {
        let mut file = nameless(spool)
            .map_err(|why| WechatError::NotSent(format!("临时文件建不了：{why}")))?;
        let mut sink = |piece: &[u8]| file.write_all(piece);
        let ended = self.client.download(request, LIMITS, &mut sink).await;
        let ended = ended.map_err(not_answered)?;
        match ended.status {
            200 => Ok(file),
            status => Err(WechatError::Unknown(format!("下载账单：HTTP {status}"))),
        }
    }
}

fn nonce() -> String {
    secret::random_text(NONCE_LENGTH)
}

fn read_v2(mut file: BillFile<File>) -> Result<Fetched, WechatError> {
    match file.refusal().map_err(|fault| unusable(&fault))? {
        None => verified(file, None),
        Some(NoBill::Empty) => Ok(Fetched::Empty),
        Some(NoBill::NotReady) => Ok(Fetched::NotReady),
        Some(NoBill::Refused { code, said }) => {
            let signature = said.eq_ignore_ascii_case("sign error");
            let code = if signature {
                "SIGNERROR".to_owned()
            } else {
                code
            };
            Err(pay_error::error(&code, &said, Cause::BadRequest))
        }
    }
}

fn verified(mut file: BillFile<File>, hash: Option<&str>) -> Result<Fetched, WechatError> {
    let rows = file.verify(hash).map_err(|fault| unusable(&fault))?;
    Ok(Fetched::Bill(FetchedBill { file, rows }))
}

fn unusable(fault: &BillFault) -> WechatError {
    WechatError::Unknown(fault.to_string())
}

/// A file of our own in `spool`, whose name is taken away at once.
fn nameless(spool: &Path) -> io::Result<File> {
    let path = spool.join(format!("bill-{}.tmp", secret::random_text(16)));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file = options.open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Where a bill waits, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Link {
    hash_type: String,
    hash_value: String,
    download_url: String,
}

fn read_link(body: &[u8]) -> Result<Link, WechatError> {
    let unknown = |why: &str| WechatError::Unknown(format!("账单下载地址的应答{why}"));
    let link: Link = serde_json::from_slice(body).map_err(|_| unknown("读不懂"))?;
    if link.hash_type != "SHA1" || link.hash_value.len() != 40 {
        return Err(unknown("不是 SHA1"));
    }
    Ok(link)
}

/// Path and query of `url`, when it leads to `base`: our signature goes to no other host.
fn local_path<'u>(url: &'u str, base: &str) -> Option<&'u str> {
    let path = url.strip_prefix(base.trim_end_matches('/'))?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
#[path = "bill_call_tests.rs"]
mod tests;
