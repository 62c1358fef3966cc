//! Tables for a spreadsheet, sent while they are made.

use std::sync::Arc;

use super::Merchant;
use super::merchant::{DAY, day};
use crate::shop::Shop;
use crate::shop::export::{ExportWanted, Exported};
use crate::web::{NobodyReads, Outcome, Pieces, Req, header, in_pieces, made};
use crate::web::{no_store, with_header};

const CSV: &str = "text/csv; charset=utf-8";

/// `GET /admin/v1/export/orders.csv`
pub(super) async fn orders(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let wanted = ExportWanted {
        from: day(&req, "from")?,
        to: day(&req, "to")?.map(|start| start.plus(DAY)),
    };
    // What goes wrong before the first row is told as an error.
    let first = shop.export_orders(wanted, None).await?;
    let (pieces, body) = in_pieces();
    tokio::spawn(send(shop, wanted, first, pieces));
    let named = "attachment; filename=\"orders.csv\"";
    let answer = with_header(made(CSV, body), header::CONTENT_DISPOSITION, named);
    Ok(no_store(answer))
}

async fn send(shop: Arc<Shop>, wanted: ExportWanted, first: Exported, pieces: Pieces) {
    let mut part = first;
    loop {
        if let Err(NobodyReads) = pieces.put(part.csv).await {
            return;
        }
        let Some(cursor) = part.next_cursor else {
            return;
        };
        part = match shop.export_orders(wanted, Some(cursor)).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "导出中途出错，已断开");
                return pieces.break_off(&error.to_string()).await;
            }
        };
    }
}
