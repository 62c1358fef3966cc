#![allow(clippy::unwrap_used)]

use super::*;
use crate::store::disk::RealDisk;

const HEAD: Head = Head {
    instance: [7; 16],
    end: Link {
        commit: 9,
        check: 0x0102_0304,
    },
    before: Link {
        commit: 8,
        check: 5,
    },
    time_ms: 1_700_000_000_123,
};

fn written(path: &Path, keys: u32) {
    let mut writer = SortedWriter::create(&RealDisk, path, &HEAD).unwrap();
    for number in 0..keys {
        let value = vec![1; (number % 300) as usize];
        let value = (number % 7 != 3).then_some(&value[..]);
        writer.push(&number.to_be_bytes(), value).unwrap();
    }
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes, std::fs::metadata(path).unwrap().len());
}

fn read(path: &Path) -> Result<Vec<Entry>, BadSorted> {
    let (head, mut reader) = SortedReader::open(&RealDisk, path)?;
    assert_eq!(head, HEAD);
    let mut entries = vec![];
    while let Some(entry) = reader.next()? {
        entries.push(entry);
    }
    Ok(entries)
}

#[test]
fn what_was_written_is_read_back_in_order_over_many_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zgb");
    for keys in [0, 1, 3000] {
        written(&path, keys);
        let entries = read(&path).unwrap();
        assert_eq!(entries.len(), keys as usize);
        for (number, (key, value)) in (0_u32..).zip(&entries) {
            assert_eq!(key, &number.to_be_bytes());
            let length = (number % 7 != 3).then_some((number % 300) as usize);
            assert_eq!(value.as_ref().map(Vec::len), length);
        }
    }
    assert!(std::fs::metadata(&path).unwrap().len() > 4 * BLOCK_BYTES as u64);
}

#[test]
fn any_altered_byte_and_any_cut_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zgb");
    written(&path, 40);
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        assert!(read(&path).is_err(), "byte {at} was altered unnoticed");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(read(&path).is_err(), "a cut at {at} was not noticed");
    }
    std::fs::write(&path, [&good[..], &[0]].concat()).unwrap();
    assert!(read(&path).is_err(), "a byte too many was not noticed");
}

#[test]
fn keys_out_of_order_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zgb");
    for keys in [[b"b", b"a"], [b"a", b"a"]] {
        let mut writer = SortedWriter::create(&RealDisk, &path, &HEAD).unwrap();
        for key in keys {
            writer.push(key, Some(b"1")).unwrap();
        }
        writer.finish().unwrap();
        assert!(
            matches!(read(&path), Err(BadSorted::Damaged(_))),
            "{keys:?}"
        );
    }
}

#[test]
fn a_newer_layout_is_told_apart_from_damage() {
    let mut bytes = HEAD.encode();
    bytes[8] = 2;
    let check = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
    bytes.truncate(HEADER_BYTES - 4);
    bytes.extend_from_slice(&check.to_le_bytes());
    let bytes: [u8; HEADER_BYTES] = bytes.try_into().unwrap();
    assert!(matches!(Head::decode(&bytes), Err(BadSorted::Newer(2))));
}

#[test]
fn the_bytes_of_a_file_are_the_golden_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zgb");
    written(&path, 4);
    let hex = data_encoding::HEXLOWER.encode(&std::fs::read(&path).unwrap());
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/records/base-file.hex"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, format!("{hex}\n")).unwrap();
    }
    assert_eq!(std::fs::read_to_string(golden).unwrap().trim(), hex);
}
