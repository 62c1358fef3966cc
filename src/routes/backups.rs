//! Backups on the merchant's word, and what there is of them.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::Merchant;
use super::catalogue::page_wanted;
use super::orders::no_fields;
use super::views::At;
use crate::model::Refusal;
use crate::shop::backups::{BackupRow, BackupStatus, BackupTarget};
use crate::shop::{Shop, ShopError};
use crate::web::{Outcome, Req, StatusCode, json, no_store};

#[derive(Serialize)]
struct BackupView {
    id: String,
    status: &'static str,
    bytes: u64,
    commit: Option<u64>,
    created_at: At,
    error: Option<String>,
}

#[derive(Serialize)]
struct BackupsView {
    backups: Vec<BackupView>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct BegunView {
    id: String,
    status: &'static str,
}

impl From<BackupRow> for BackupView {
    fn from(row: BackupRow) -> Self {
        Self {
            id: row.id,
            status: word(row.status),
            bytes: row.bytes,
            commit: row.commit,
            created_at: At(row.created_at),
            error: row.error,
        }
    }
}

const fn word(status: BackupStatus) -> &'static str {
    match status {
        BackupStatus::Running => "running",
        BackupStatus::Done => "done",
        BackupStatus::Failed => "failed",
    }
}

/// `GET /admin/v1/backups`: newest first.
pub(super) async fn list(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let page = page_wanted(&req)?;
    let after = page.cursor.map(|cursor| read_cursor(&cursor)).transpose()?;
    let mut rows = shop.backups().await;
    if let Some(after) = after {
        let last = rows.iter().position(|row| row.id == after);
        rows.drain(..last.map_or(rows.len(), |last| last + 1));
    }
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let last = rows.last().filter(|_| more);
    let view = BackupsView {
        next_cursor: last.map(|row| BASE64URL_NOPAD.encode(row.id.as_bytes())),
        backups: rows.into_iter().map(BackupView::from).collect(),
    };
    Ok(no_store(json(StatusCode::OK, &view)))
}

fn read_cursor(cursor: &str) -> Result<String, ShopError> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let (field, rule) = ("cursor", "不是本接口给出的 cursor");
    id.ok_or(Refusal::FieldInvalid { field, rule }.into())
}

/// `POST /admin/v1/backups`: begins one in `[backup] dir`.
pub(super) async fn create(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    no_fields(req).await?;
    let id = shop.start_backup(BackupTarget::Scheduled).await?;
    let status = word(BackupStatus::Running);
    Ok(json(StatusCode::ACCEPTED, &BegunView { id, status }))
}
