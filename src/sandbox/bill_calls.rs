//! The calls that ask for a bill, in both protocols, and the download of its file.

use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::bills::{self, BillFile, BillType, NoBill, Planted, URL_LIFE};
use super::faults::UpstreamFault;
use super::gate_v3::Answer;
use super::gateway::Judged;
use super::sign_v2::SignType;
use super::talk_v2::Need::{Optional, Required};
use super::talk_v2::{self, Rule, Shape, check_fields};
use super::talk_v3::{Call, Refused, bad_param, refused};
use super::verdicts::Verdict;
use super::{Sandbox, talk_v2 as v2};
use crate::base::secret::random_text;
use crate::base::xml::Fields;
use crate::base::{Timestamp, hash};
use crate::web::{self, Anyone, HttpError, Outcome, Req, Response, StatusCode};

/// Source: 微信支付 APIv2 · 下载交易账单, 请求参数.
const ASKED: [Rule; 5] = [
    ("nonce_str", Required, 32, Shape::Any),
    ("bill_date", Required, 8, Shape::Whole),
    (
        "bill_type",
        Optional,
        16,
        Shape::OneOf(&["ALL", "SUCCESS", "REFUND"]),
    ),
    ("tar_type", Optional, 8, Shape::OneOf(&["GZIP"])),
    ("sign_type", Optional, 32, Shape::Any),
];

/// `POST /pay/downloadbill`
pub(super) async fn download_v2(sandbox: Arc<Sandbox>, _: Anyone, mut req: Req) -> Outcome {
    let body = req.body().await?;
    let judge = |fault| {
        let judged = sandbox.bill_v2((req.method().as_str(), &body), (req.at, fault));
        let (answer, verdict) = match judged {
            Ok(bill) => (text_file(cut(bill, fault)), Verdict::ok()),
            Err((code, message)) => (failed(code, message), Verdict::new(code, message)),
        };
        Judged { answer, verdict }
    };
    Ok(sandbox.answer(&req, judge).await)
}

/// Source: 微信支付 APIv2 · 下载交易账单, 错误码: `return_msg` and `error_code`, unsigned.
fn failed(code: &str, message: &str) -> Response {
    let number = match code {
        "SIGNERROR" => "20001",
        "No Bill Exist" => "20002",
        other => other,
    };
    let fields = Fields::new()
        .with("return_code", "FAIL")
        .with("return_msg", message)
        .with("error_code", number);
    let xml = fields.to_xml().into_bytes();
    web::text(StatusCode::OK, "text/xml; charset=utf-8", xml)
}

fn cut(mut body: Vec<u8>, fault: UpstreamFault) -> Vec<u8> {
    if fault == UpstreamFault::Cut {
        body.truncate(body.len() / 2);
    }
    body
}

fn text_file(body: Vec<u8>) -> Response {
    web::text(StatusCode::OK, "text/plain", body)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.expect("memory takes every byte")
}

impl Sandbox {
    /// The bill, or code and words of its refusal.
    fn bill_v2(
        &self,
        (method, body): (&str, &[u8]),
        (now, fault): (Timestamp, UpstreamFault),
    ) -> Result<Vec<u8>, (&'static str, &'static str)> {
        let in_words = |refused: talk_v2::Refused| match refused.code {
            "SIGNERROR" => ("SIGNERROR", "sign error"),
            "LACK_PARAMS" => ("LACK_PARAMS", "missing parameter"),
            code => (code, "data format error"),
        };
        let fields = v2::read(method, body).map_err(in_words)?;
        let proved = v2::prove(&self.credentials, &fields);
        let sign_type: SignType = proved.map_err(in_words)?;
        v2::check_appid(&self.credentials, &fields, sign_type).map_err(in_words)?;
        check_fields(&fields, &ASKED, sign_type).map_err(in_words)?;
        if fault == UpstreamFault::SystemError {
            return Err(("SYSTEMERROR", "SYSTEMERROR"));
        }
        let kind = BillType::read(fields.text("bill_type"));
        let kind = kind.ok_or(("INVALID_REQUEST", "invalid bill_type"))?;
        let compact = fields.text("bill_date");
        if compact.len() != 8 {
            return Err(("INVALID_REQUEST", "data format error"));
        }
        let date = format!("{}-{}-{}", &compact[..4], &compact[4..6], &compact[6..]);
        let bill = bills::bill(&self.book(), &self.credentials, (&date, kind), now);
        let text = bill.map_err(|why| match why {
            NoBill::Day => ("INVALID_REQUEST", "data format error"),
            NoBill::Creating => ("Bill Creating", "Bill Creating"),
            NoBill::Empty => ("No Bill Exist", "No Bill Exist"),
        })?;
        Ok(match fields.text("tar_type") {
            "GZIP" => gzip(text.as_bytes()),
            _ => text.into_bytes(),
        })
    }

    fn bill_v3(
        &self,
        call: &Call<'_>,
        (now, fault): (Timestamp, UpstreamFault),
        host: &str,
    ) -> Result<Answer, Refused> {
        let names = ["bill_date", "bill_type", "tar_type"];
        let [date, kind, tar] = query(call.target, names)?;
        let kind = BillType::read(kind).ok_or_else(|| wrong("bill_type", "枚举值错误"))?;
        if !matches!(tar, "" | "GZIP") {
            return Err(wrong("tar_type", "枚举值错误"));
        }
        let mut book = self.book();
        let bill = bills::bill(&book, &self.credentials, (date, kind), now);
        let text = bill.map_err(no_bill)?;
        let hashed = match fault {
            UpstreamFault::BadHash => hash::sha1_hex(b"another file"),
            _ => hash::sha1_hex(text.as_bytes()),
        };
        let (body, more) = match tar {
            "GZIP" => (gzip(text.as_bytes()), "&tartype=gzip"),
            _ => (text.into_bytes(), ""),
        };
        let token = random_text(32);
        let file = BillFile { body, made_at: now };
        book.bills.files.put(token.clone(), file);
        Ok(Answer::Json(json!({
            "hash_type": "SHA1",
            "hash_value": hashed,
            "download_url": format!("http://{host}/v3/billdownload/file?token={token}{more}"),
        })))
    }

    fn bill_file(
        &self,
        call: &Call<'_>,
        (now, fault): (Timestamp, UpstreamFault),
    ) -> Result<Answer, Refused> {
        let [token, _] = query(call.target, ["token", "tartype"])?;
        let book = self.book();
        let file = book.bills.files.get(token);
        let fresh = file.filter(|file| now.since(file.made_at) < URL_LIFE);
        let file = fresh.ok_or_else(|| wrong("token", "无效或已过期"))?;
        Ok(Answer::File(cut(file.body.clone(), fault)))
    }
}

fn wrong(name: &str, why: &str) -> Refused {
    bad_param(name, why, "query")
}

/// The values of a query that has these names only; what is left out is empty.
fn query<'a, const N: usize>(target: &'a str, names: [&str; N]) -> Result<[&'a str; N], Refused> {
    let mut values = [""; N];
    let text = target.split_once('?').map_or("", |(_, text)| text);
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let at = names.iter().position(|known| *known == name);
        values[at.ok_or_else(|| wrong(name, "不支持的参数"))?] = value;
    }
    match values[0] {
        "" => Err(wrong(names[0], "缺少必填参数")),
        _ => Ok(values),
    }
}

/// Source: 微信支付 APIv3 · 申请交易账单, 错误码.
fn no_bill(why: NoBill) -> Refused {
    let (code, message) = match why {
        NoBill::Day => return wrong("bill_date", "不是最近三个月内的日期"),
        NoBill::Creating => ("STATEMENT_CREATING", "账单生成中，请稍后再试"),
        NoBill::Empty => ("NO_STATEMENT_EXIST", "请求的账单文件不存在"),
    };
    refused(400, code, message, 268_435_461)
}

/// `GET /v3/bill/tradebill`
pub(super) async fn apply_v3(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    // The URL names the host that was asked, so that it goes through what stands before us.
    let host = req.header("host").unwrap_or_default().to_owned();
    let work = |call: &Call<'_>, moment| sandbox.bill_v3(call, moment, &host);
    sandbox.serve_v3_faulty(req, work).await
}

/// `GET /v3/billdownload/file`
pub(super) async fn file_v3(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |call: &Call<'_>, moment| sandbox.bill_file(call, moment);
    sandbox.serve_v3_faulty(req, work).await
}

/// `PUT /sandbox/bills`: plants differences into a day's bill.
pub(super) async fn plant(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let wanted: Planted = req.json().await?;
    match sandbox.book().bills.plant(&wanted) {
        Some(()) => Ok(web::json(StatusCode::OK, &wanted)),
        None => Err(HttpError::invalid("date 应为 YYYY-MM-DD (must be a day)")),
    }
}
