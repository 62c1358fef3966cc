//! `verify`: reads everything in a directory, and says what it found.

use std::path::Path;

use serde_json::{Value, json};

use super::args::Verify;
use super::bars::{Bars, size};
use super::exit::Failure;
use super::tempdir::TempDir;
use super::term;
use crate::store::{DirKind, Verified, VerifyOrder, Wrong, verify};

/// `zhanggui verify DIR [--json]`
///
/// It needs no configuration: what is sealed stays so.
///
/// # Errors
/// [`Failure::Failed`] when something is wrong; what, was said.
pub fn run(args: &Verify) -> Result<(), Failure> {
    let scratch = TempDir::new().map_err(|why| Failure::failed("没有地方放临时文件", why))?;
    let order = VerifyOrder {
        dir: args.dir.clone(),
        scratch: scratch.path().to_owned(),
    };
    let bars = Bars::new();
    let done = verify(&order, &|reached| bars.show(reached));
    drop(bars);
    let verified = match done {
        Ok(verified) => verified,
        Err(why) if args.json => {
            let wrong = json!([{ "what": why.to_string() }]);
            term::say(json!({ "dir": args.dir, "ok": false, "wrong": wrong }));
            return Err(Failure::Failed(String::new()));
        }
        Err(why) => return Err(Failure::Failed(why.to_string())),
    };
    if args.json {
        term::say(told(&args.dir, &verified));
    } else {
        lines(&args.dir, &verified).iter().for_each(term::say);
    }
    match verified.wrong.len() {
        0 => Ok(()),
        _ if args.json => Err(Failure::Failed(String::new())),
        n => Err(Failure::Failed(format!("核对出 {n} 处不对，见上"))),
    }
}

fn told(dir: &Path, verified: &Verified) -> Value {
    let manifest = verified.manifest.as_ref().map(|manifest| {
        json!({
            "program": manifest.program,
            "at": manifest.at.rfc3339(),
            "commit": manifest.commit,
            "files": manifest.files.len(),
        })
    });
    let sums = &verified.sums;
    json!({
        "dir": dir,
        "ok": verified.wrong.is_empty(),
        "kind": word(verified.kind).0,
        "instance": verified.instance,
        "commit": verified.commit,
        "commit_at": verified.commit_at.rfc3339(),
        "bytes": verified.bytes,
        "manifest": manifest,
        "left_out": verified.left_out,
        "working_set_compared": verified.compared,
        "counts": verified.counts,
        "sums": {
            "orders": sums.orders,
            "paid_fen": sums.paid.get(),
            "refunded_fen": sums.refunded.get(),
            "pieces_in_stock": sums.pieces_in_stock,
            "pieces_reserved": sums.pieces_reserved,
        },
        "wrong": verified.wrong,
    })
}

fn word(kind: DirKind) -> (&'static str, &'static str) {
    match kind {
        DirKind::Store => ("store", "数据目录"),
        DirKind::Copy => ("copy", "数据目录的拷贝"),
        DirKind::Backup => ("backup", "备份"),
    }
}

fn lines(dir: &Path, verified: &Verified) -> Vec<String> {
    let kind = word(verified.kind).1;
    let mut lines = vec![format!(
        "{}：{kind}，第 {} 笔提交（{}），账本 {}",
        dir.display(),
        verified.commit,
        verified.commit_at.rfc3339(),
        size(verified.bytes)
    )];
    if let Some(manifest) = &verified.manifest {
        let (at, files) = (manifest.at.rfc3339(), manifest.files.len());
        lines.push(format!(
            "MANIFEST：{at} 由 {} 备份，{files} 个文件",
            manifest.program
        ));
    }
    for name in &verified.left_out {
        lines.push(format!("这份拷贝在 {name} 之前断开，之后的账本不会被采用"));
    }
    let counts: Vec<_> = verified
        .counts
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    lines.push(format!("记录：{}", counts.join("，")));
    let sums = &verified.sums;
    let orders: Vec<_> = sums
        .orders
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    lines.push(format!("订单：{}", orders.join("，")));
    lines.push(format!(
        "实收 {} 元，已退 {} 元；库存 {} 件，待付款占用 {} 件",
        sums.paid, sums.refunded, sums.pieces_in_stock, sums.pieces_reserved
    ));
    if verified.compared {
        lines.push("工作集（sled）已逐键与账本比较".to_owned());
    }
    lines.extend(verified.wrong.iter().map(wrong));
    if verified.wrong.is_empty() {
        lines.push("全部核对无误".to_owned());
    }
    lines
}

fn wrong(wrong: &Wrong) -> String {
    let places = [&wrong.file, &wrong.key].into_iter().flatten();
    let place: Vec<_> = places.map(String::as_str).collect();
    format!("不对：{} {}。{}", place.join(" "), wrong.what, wrong.remedy)
}
