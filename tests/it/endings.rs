//! Every way a payment can end, in both protocols: money taken by WeChat is money paid here or
//! refunded, whoever found out and however late. One test prints the table.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};
use std::thread;

use crate::endings_books::Row;
use crate::wait::say;
use crate::{endings_paid as paid, endings_refund as refund, endings_unpaid as unpaid};

/// One way to end: played once a run in each protocol, whoever asks for its row first.
struct Ending {
    play: fn(&'static str) -> Row,
    rows: [OnceLock<Row>; 2],
}

const VERSIONS: [&str; 2] = ["v2", "v3"];
/// How many endings are played at once: they wait more than they work.
const AT_ONCE: usize = 6;

impl Ending {
    const fn new(play: fn(&'static str) -> Row) -> Self {
        let rows = [OnceLock::new(), OnceLock::new()];
        Self { play, rows }
    }

    fn row(&self, which: usize) -> &Row {
        self.rows[which].get_or_init(|| (self.play)(VERSIONS[which]))
    }
}

/// Names a test for each ending, and puts it into the table.
macro_rules! endings {
    ($($test:ident => $play:path,)*) => {
        static ENDINGS: [Ending; NAMES.len()] = [$(Ending::new($play)),*];

        mod each {
            $(
                #[test]
                fn $test() {
                    super::both(stringify!($test));
                }
            )*
        }

        const NAMES: &[&str] = &[$(stringify!($test)),*];
    };
}

endings! {
    a_payment_that_is_notified_is_known_at_once => paid::notified,
    a_payment_whose_notify_is_lost_is_found_within_thirty_seconds => paid::notify_lost,
    a_payment_during_hours_without_wechat_is_found_when_it_is_back => paid::hours_without_wechat,
    a_payment_whose_prepay_answer_was_lost_is_paid_under_one_number => paid::prepay_answer_lost,
    a_payment_whose_number_was_used_is_paid_under_the_next => paid::number_used,
    a_payment_while_the_server_was_killed_is_found_after_the_restart => paid::while_killed,
    a_payment_told_with_a_wrong_amount_is_not_believed_but_asked_about => paid::wrong_amount,
    a_cancel_of_what_is_paid_there_is_refused_and_the_money_counts => paid::cancel_while_paid,
    a_payment_that_wins_the_race_takes_its_stock_again => paid::late_with_stock,
    a_payment_that_wins_the_race_untold_is_looked_for => paid::late_and_untold,
    a_payment_that_wins_the_race_without_stock_goes_back => paid::late_without_stock,
    a_notify_after_all_was_refunded_changes_nothing => paid::told_after_the_refund,
    a_second_payment_after_a_new_price_goes_back => paid::twice_new_first,
    a_second_payment_under_the_new_price_goes_back => paid::twice_old_first,
    a_forged_notify_pays_nothing => unpaid::forged,
    an_order_nobody_pays_is_closed_and_its_stock_is_back => unpaid::expired,
    an_order_nobody_asked_to_pay_is_closed_and_its_stock_is_back => unpaid::never_asked,
    a_cancelled_order_is_closed_and_its_stock_is_back => unpaid::cancelled,
    a_cancel_that_wechat_does_not_allow_yet_ends_within_a_minute => unpaid::cancelled_young,
    a_whole_refund_is_known_by_its_notify => refund::whole_by_notify,
    a_part_refund_is_known_by_its_notify => refund::part_by_notify,
    a_whole_refund_whose_notify_is_lost_is_asked_about => refund::whole_by_query,
    a_part_refund_whose_notify_is_lost_is_asked_about => refund::part_by_query,
    a_refund_that_became_abnormal_ends_well_when_taken_up => refund::abnormal,
    a_refund_that_wechat_refuses_is_closed_and_the_money_stays => refund::refused,
    a_refund_without_balance_is_made_later_under_one_number => refund::deferred,
    a_refund_of_the_merchant_platform_is_taken_in => refund::external,
    a_refund_of_the_merchant_platform_untold_is_in_the_bill => refund::external_untold,
}

fn both(name: &str) {
    let place = NAMES.iter().position(|known| *known == name).unwrap();
    thread::scope(|scope| {
        for which in 0..VERSIONS.len() {
            scope.spawn(move || ENDINGS[place].row(which));
        }
    });
}

#[test]
fn every_way_a_payment_can_end_balances_and_the_table_tells_who_noticed() {
    let jobs = (0..ENDINGS.len()).flat_map(|place| [(place, 0), (place, 1)]);
    let jobs: Mutex<VecDeque<(usize, usize)>> = Mutex::new(jobs.collect());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((place, which)) = jobs.lock().unwrap().pop_front() else {
                        return;
                    };
                    ENDINGS[place].row(which);
                }
            });
        }
    });
    let rows = ENDINGS
        .iter()
        .flat_map(|ending| [0, 1].map(|which| ending.row(which)));
    let rows: Vec<String> = rows.map(Row::markdown).collect();
    say(&format!("{}\n{}", Row::HEAD, rows.join("\n")));
    assert_eq!(rows.len(), 2 * NAMES.len());
}
