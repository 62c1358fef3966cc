//! The journal's bytes: what is altered, cut short or elsewhere is not read.

use super::frame::{BadHeader, Chain, Frame, HEADER_BYTES, Header, Kind, Link, Place};
use super::frame::{encode_changes, good_frame_behind, visit_changes};
use super::tx::{Change, Overlay};

const PLACE: Place = Place {
    salt: [3; 16],
    offset: 0,
    before: 77,
    chain: Chain::Checked,
};

fn changes() -> Overlay {
    let mut changes = Overlay::default();
    changes.set(b"o1".to_vec(), Change::Put(b"order".to_vec()));
    changes.set(b"o2".to_vec(), Change::Delete);
    changes.set(vec![0xF0, 1], Change::Put(b"cached".to_vec()));
    changes.set(vec![0xF0, 2], Change::Delete);
    changes.set(b"u1".to_vec(), Change::Put(vec![]));
    changes
}

fn encoded(place: &Place) -> Vec<u8> {
    let (mut body, mut bytes) = (vec![], vec![]);
    encode_changes(&changes(), &mut body);
    let frame = Frame {
        commit: 9,
        time_ms: 1_767_196_830_123,
        kind: Kind::Group,
        body: &body,
    };
    frame.encode(place, &mut bytes);
    bytes
}

#[test]
fn a_frame_holds_all_changes_but_what_is_put_in_the_cache() {
    let bytes = encoded(&PLACE);
    let (frame, _) = Frame::decode(&bytes, &PLACE).expect("whole");
    assert_eq!((frame.commit, frame.kind), (9, Kind::Group));
    assert_eq!(frame.bytes(), bytes.len());
    let mut seen = vec![];
    let visited = visit_changes(frame.body, &mut |key, value| {
        seen.push((key.to_vec(), value.map(<[u8]>::to_vec)));
    });
    assert_eq!(visited, Some(()));
    let want = [
        (b"o1".to_vec(), Some(b"order".to_vec())),
        (b"u1".to_vec(), Some(vec![])),
        (b"o2".to_vec(), None),
        (vec![0xF0, 2], None),
    ];
    assert_eq!(seen, want);
}

#[test]
fn a_frame_altered_by_one_bit_cut_short_or_elsewhere_is_not_read() {
    let bytes = encoded(&PLACE);
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        assert_eq!(Frame::decode(&altered, &PLACE), None, "byte {at}");
        assert_eq!(Frame::decode(&bytes[..at], &PLACE), None, "{at} bytes");
    }
    let moved = [&[0; 5][..], &bytes].concat();
    let places = [
        Place {
            salt: [4; 16],
            ..PLACE
        },
        Place {
            before: 78,
            ..PLACE
        },
    ];
    for place in places {
        assert_eq!(Frame::decode(&bytes, &place), None, "{place:?}");
    }
    assert_eq!(Frame::decode(&moved, &Place { offset: 5, ..PLACE }), None);
}

#[test]
fn a_good_frame_behind_a_bad_one_is_found_and_one_written_in_a_remark_is_not() {
    let remark = encoded(&Place {
        salt: [0; 16],
        offset: 40,
        ..PLACE
    });
    let noise = [vec![1; 40], remark, vec![1; 40]].concat();
    assert!(!good_frame_behind(&noise, &PLACE, 8));
    let place = Place {
        offset: noise.len() as u64,
        before: u32::from_le_bytes([1; 4]),
        ..PLACE
    };
    let behind = [noise, encoded(&place)].concat();
    assert!(good_frame_behind(&behind, &PLACE, 8));
}

#[test]
fn a_header_altered_by_one_bit_or_from_a_newer_program_is_refused() {
    let header = Header {
        instance: [1; 16],
        salt: [2; 16],
        before: Link {
            commit: 5,
            check: 6,
        },
    };
    let bytes = header.encode();
    assert_eq!(Header::decode(&bytes), Ok(header));
    for at in 0..HEADER_BYTES {
        let mut altered = bytes;
        altered[at] ^= 1 << (at % 8);
        assert_eq!(
            Header::decode(&altered),
            Err(BadHeader::Damaged),
            "byte {at}"
        );
    }
    let mut newer = bytes;
    newer[8] = 2;
    let check = crc32c::crc32c(&newer[..60]);
    newer[60..].copy_from_slice(&check.to_le_bytes());
    assert_eq!(Header::decode(&newer), Err(BadHeader::Newer(2)));
}
