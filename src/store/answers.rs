//! What asking for records can answer beside the record: a refusal, and a page of a list.

use data_encoding::BASE64URL_NOPAD;

use super::StoreError;
use crate::base::OrderNo;
use crate::model::Refusal;

/// Why a record was not given or kept: the business says no, or the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The business says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed; never a refusal.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which page of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageWanted {
    /// Where the page before ended, as it was given; `None` for the first page.
    pub cursor: Option<String>,
    /// The most items, from 1.
    pub limit: usize,
}

/// One page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What gives the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The page of what was found, one more than wanted telling that there is a next page.
    pub(super) fn of(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(cursor);
        Self { items, next_cursor }
    }
}

impl PageWanted {
    /// The order_no at which the page before ended.
    pub(super) fn order_no(&self) -> Result<Option<OrderNo>, Refusal> {
        let read = |bytes: Vec<u8>| std::str::from_utf8(&bytes).ok()?.parse().ok();
        self.position(read)
    }

    /// The number at which the page before ended.
    pub(super) fn number(&self) -> Result<Option<u64>, Refusal> {
        self.position(|bytes| bytes.try_into().ok().map(u64::from_be_bytes))
    }

    fn position<T>(&self, read: impl Fn(Vec<u8>) -> Option<T>) -> Result<Option<T>, Refusal> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
        let refused = Refusal::FieldInvalid {
            field: "cursor",
            rule: "只能是上一页返回的 next_cursor",
        };
        bytes.and_then(read).ok_or(refused).map(Some)
    }
}

/// The cursor of a list that goes by order_no.
pub(super) fn order_cursor(order_no: &OrderNo) -> String {
    BASE64URL_NOPAD.encode(order_no.as_str().as_bytes())
}

/// The cursor of a list that goes by number.
pub(super) fn number_cursor(number: u64) -> String {
    BASE64URL_NOPAD.encode(&number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_was_not_given_by_us_is_refused_by_name() {
        for cursor in ["", "!", "AAAA", "é", "____________"] {
            let cursor = Some(cursor.to_owned());
            let wanted = PageWanted { cursor, limit: 20 };
            for refused in [wanted.order_no().err(), wanted.number().err()] {
                let Some(Refusal::FieldInvalid { field, .. }) = refused else {
                    panic!("{wanted:?} was taken");
                };
                assert_eq!(field, "cursor");
            }
        }
    }

    #[test]
    fn a_cursor_leads_back_to_where_the_page_ended() {
        let order_no: OrderNo = "20260101ABCDEF".parse().unwrap();
        let wanted = |cursor| PageWanted {
            cursor: Some(cursor),
            limit: 1,
        };
        assert_eq!(wanted(number_cursor(7)).number(), Ok(Some(7)));
        let read = wanted(order_cursor(&order_no)).order_no();
        assert_eq!(read, Ok(Some(order_no)));
    }

    #[test]
    fn only_a_full_page_that_left_something_out_has_a_next_one() {
        let page = |count| Page::of((0..count).collect(), 2, u64::to_string);
        assert_eq!(page(2).next_cursor, None);
        assert_eq!(page(3).items, [0, 1]);
        assert_eq!(page(3).next_cursor.as_deref(), Some("1"));
    }
}
