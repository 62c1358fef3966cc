//! A downloaded bill: plain or gzip, of any length, read from its start as often as wanted.
//!
//! Nothing of it is kept in memory but one line. Not the download, and no socket: what it reads is
//! handed in.
//!
//! Source: 微信支付 APIv2 · 下载交易账单; APIv3 · 申请交易账单, 下载账单 (hash_value is that of the
//! uncompressed bill).

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;

use super::bill::{self, BadBill, BillReader, Line, NoBill, Row};
use super::bill_rows::{Layout, Sums};
use crate::base::hash::Sha1;
use crate::model::reconcile::BillRow;

/// The longest line that is read; real ones have some hundred bytes.
const LINE_MAX_BYTES: u64 = 64 * 1024;
/// The longest refusal that is read.
const REFUSAL_MAX_BYTES: u64 = 64 * 1024;
/// The longest bill, uncompressed: ten million rows.
pub const PLAIN_MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Why a downloaded bill cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BillFault {
    /// It cannot be read: the file, or its compression, which was cut.
    #[error("账单读不出来：{0}")]
    Unreadable(#[from] io::Error),
    /// It is not a bill.
    #[error(transparent)]
    Bad(#[from] BadBill),
    /// It is another file than the one WeChat spoke of.
    #[error("账单的 SHA-1 与微信给出的不同，不予使用")]
    Hash,
    /// Whoever takes the rows wants no more.
    #[error("对账已停止")]
    Stopped,
}

/// A bill in something that can be read from its start again.
#[derive(Debug)]
pub struct BillFile<F> {
    file: F,
    plain_max_bytes: u64,
}

/// Takes one row; `false` ends the reading.
type Take<'t> = dyn FnMut(BillRow) -> bool + 't;

impl<F: Read + Seek> BillFile<F> {
    /// A bill in `file`.
    pub fn new(file: F) -> Self {
        Self {
            file,
            plain_max_bytes: PLAIN_MAX_BYTES,
        }
    }

    /// Why there is no bill, when what was downloaded says so; for v2, which says it in its place.
    ///
    /// # Errors
    /// [`BillFault::Unreadable`].
    pub fn refusal(&mut self) -> Result<Option<NoBill>, BillFault> {
        let mut start = vec![];
        self.plain()?
            .take(REFUSAL_MAX_BYTES)
            .read_to_end(&mut start)?;
        Ok(bill::no_bill(&start))
    }

    /// Reads the whole bill once, before any row of it is believed: how many rows it has.
    ///
    /// # Errors
    /// [`BillFault`]: `Hash` when its SHA-1 is not `hash`, `Bad` when a line is out of place, an
    /// amount unreadable, or its summary is not the sum of its rows.
    pub fn verify(&mut self, hash: Option<&str>) -> Result<u64, BillFault> {
        let mut plain = self.plain()?;
        let (mut layout, mut sums) = (None, Sums::default());
        let read = each_line(&mut plain, &mut |line, number| {
            match line {
                Line::Header => {}
                Line::Row(row) => {
                    let layout = known(&mut layout, &row)?;
                    sums.add(layout, &row, number)?;
                    layout.read(&row, number)?;
                }
                Line::Summary(row) => sums.check(layout.as_ref(), &row)?,
            }
            Ok(true)
        });
        // A bill of another hash is another file: then it does not matter what is wrong in it.
        if let Some(hash) = hash {
            io::copy(&mut plain, &mut io::sink())?;
            let digest = plain.into_inner().digest.hex();
            if !digest.eq_ignore_ascii_case(hash) {
                return Err(BillFault::Hash);
            }
        }
        read.map(|()| sums.rows())
    }

    /// Hands every row to `take`, in the bill's order.
    ///
    /// # Errors
    /// [`BillFault`]; `Stopped` when `take` wanted no more.
    pub fn rows(&mut self, take: &mut Take<'_>) -> Result<(), BillFault> {
        let mut plain = self.plain()?;
        let mut layout = None;
        each_line(&mut plain, &mut |line, number| match line {
            Line::Row(row) => Ok(take(known(&mut layout, &row)?.read(&row, number)?)),
            Line::Header | Line::Summary(_) => Ok(true),
        })
    }

    /// The uncompressed bill from its start, whichever way it was sent.
    fn plain(&mut self) -> io::Result<BufReader<Plain<'_>>> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut file = BufReader::with_capacity(BUFFER_BYTES, &mut self.file);
        let inner: Box<dyn Read + '_> = if file.fill_buf()?.starts_with(&GZIP) {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let plain = Plain {
            inner,
            left_bytes: self.plain_max_bytes,
            digest: Sha1::default(),
        };
        Ok(BufReader::with_capacity(BUFFER_BYTES, plain))
    }
}

fn known<'l>(layout: &'l mut Option<Layout>, row: &Row<'_>) -> Result<&'l Layout, BadBill> {
    if layout.is_none() {
        *layout = Some(Layout::of(row.columns())?);
    }
    Ok(layout.as_ref().expect("it was just put there"))
}

/// An uncompressed bill as it is read: digested, and no longer than allowed.
struct Plain<'f> {
    inner: Box<dyn Read + 'f>,
    left_bytes: u64,
    digest: Sha1,
}

impl Read for Plain<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        let left = u64::try_from(count).ok();
        let left = left.and_then(|count| self.left_bytes.checked_sub(count));
        self.left_bytes = left.ok_or_else(|| io::Error::other("解压后过大"))?;
        self.digest.update(&into[..count]);
        Ok(count)
    }
}

/// Called with each line and its number, from 1; `false` ends the reading.
type Visit<'v> = dyn FnMut(Line<'_>, u64) -> Result<bool, BillFault> + 'v;

fn each_line(plain: &mut impl BufRead, visit: &mut Visit<'_>) -> Result<(), BillFault> {
    let (mut reader, mut line) = (BillReader::new(), vec![]);
    for number in 1.. {
        line.clear();
        let mut whole = plain.by_ref().take(LINE_MAX_BYTES);
        if whole.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if whole.limit() == 0 {
            return Err(BadBill::Long(number).into());
        }
        // A text that WeChat cut in the middle of a character spoils no amount.
        let text = String::from_utf8_lossy(&line);
        if !visit(reader.read(&text)?, number)? {
            return Err(BillFault::Stopped);
        }
    }
    Ok(reader.finish()?)
}

#[cfg(test)]
#[path = "bill_file_tests.rs"]
mod tests;
