//! Who gives way to whom.

#![allow(clippy::unwrap_used)]

use futures_util::FutureExt as _;

use super::*;

fn household(last: u8) -> Household {
    Household::of([192, 0, 2, last].into())
}

/// A seat without waiting for the one that was closed for it.
fn take(seats: &Arc<Seats>, last: u8) -> Option<Seated> {
    match seats.try_take(household(last), Share::Fair) {
        Took::Seat(seat) | Took::SeatOf(seat) => Some(Seated(seat)),
        Took::Nothing => None,
        Took::Later => panic!("it would have to wait"),
    }
}

fn is_closed(seat: &Seated) -> bool {
    seat.closed().now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn the_longest_idle_of_the_greediest_address_gives_way() {
    let seats = Seats::new(4, 100);
    let mut taken = Vec::new();
    for last in [1, 2, 2, 2] {
        tokio::time::advance(Duration::from_secs(1)).await;
        taken.push(take(&seats, last).unwrap());
    }
    drop(taken[1].seat().busy());
    let newcomer = take(&seats, 3).unwrap();
    let closed: Vec<bool> = taken.iter().map(is_closed).collect();
    assert_eq!(closed, [false, false, true, false]);
    drop(newcomer);
}

#[tokio::test(start_paused = true)]
async fn among_equals_the_longest_idle_gives_way_and_the_busy_never() {
    let seats = Seats::new(3, 100);
    let mut taken = Vec::new();
    for last in [3, 2, 1] {
        tokio::time::advance(Duration::from_secs(1)).await;
        taken.push(take(&seats, last).unwrap());
    }
    let seat = taken[0].seat();
    let busy = seat.busy();
    taken.push(take(&seats, 4).unwrap());
    let closed: Vec<bool> = taken.iter().map(is_closed).collect();
    assert_eq!(closed, [false, true, false, false]);
    drop(busy);
    taken.push(take(&seats, 5).unwrap());
    assert!(is_closed(&taken[2]) && !is_closed(&taken[0]));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_began_as_its_connection_was_to_be_closed_is_answered() {
    let seats = Seats::new(1, 100);
    let first = take(&seats, 1).unwrap();
    let _second = take(&seats, 2).unwrap();
    let seat = first.seat();
    let busy = seat.busy();
    let mut closed = Box::pin(first.closed());
    let soon = tokio::time::timeout(Duration::from_secs(5), &mut closed);
    assert!(soon.await.is_err());
    drop(busy);
    closed.await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_who_has_left() {
    let seats = Seats::new(10, 2);
    let first = take(&seats, 1).unwrap();
    let second = take(&seats, 1).unwrap();
    let third = take(&seats, 1).unwrap();
    assert!(is_closed(&first));
    let (two, three) = (second.seat(), third.seat());
    let both = (two.busy(), three.busy());
    assert!(take(&seats, 1).is_none());
    drop((first, second, third));
    let left = seats.lock();
    assert!(left.queue.is_empty() && left.households.is_empty() && left.by_size.is_empty());
    drop((left, both));
}

#[tokio::test(start_paused = true)]
async fn without_descriptors_there_are_fewer_seats_but_not_none() {
    let seats = Seats::new(20, 100);
    let taken: Vec<Seated> = (0..20).map(|last| take(&seats, last).unwrap()).collect();
    assert_eq!(seats.shrink(), SPARE);
    assert_eq!(taken.iter().filter(|seat| is_closed(seat)).count(), SPARE);
    assert_eq!(seats.lock().most, 12);
    assert_eq!(seats.shrink(), 2);
    assert_eq!(seats.lock().most, 10);
    assert_eq!(seats.shrink(), 1);
    assert_eq!(seats.lock().most, 10);
}
