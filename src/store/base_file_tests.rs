//! A base's bytes: golden, round trips, and whatever is altered or cut is refused.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use super::base_file::{BadBase, BaseHead, BaseHeader, BaseName, Content};
use super::base_reader::BaseReader;
use super::base_writer::BaseWriter;
use super::disk::Disk;
use super::frame::Link;
use super::sim_disk::SimDisk;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn header() -> BaseHeader {
    BaseHeader {
        instance: [7; 16],
        salt: [3; 16],
        link: Link {
            commit: 258,
            check: 0xDEAD_BEEF,
        },
        time_ms: 1_767_196_830_123,
        made_ms: 1_767_196_840_456,
        content: Content::Base,
    }
}

fn pairs(count: u32) -> Pairs {
    let pair = |n: u32| {
        let value = vec![1; usize::try_from(n % 700).unwrap()];
        ([&b"k"[..], &n.to_be_bytes()].concat(), value)
    };
    (0..count).map(pair).collect()
}

fn written(disk: &SimDisk, pairs: &Pairs) -> (PathBuf, BaseHead) {
    let mut writer = BaseWriter::begin(disk, Path::new("/base"), &header()).unwrap();
    for (key, value) in pairs {
        writer.put(key, Some(value)).unwrap();
    }
    let head = writer.publish(disk).unwrap();
    (Path::new("/base").join(BaseName(258).to_string()), head)
}

fn read(disk: &SimDisk, path: &Path) -> Result<Pairs, BadBase> {
    let mut reader = BaseReader::open(disk, path)?;
    let mut pairs = vec![];
    while let Some((key, value)) = reader.next()? {
        pairs.push((key.to_vec(), value.unwrap().to_vec()));
    }
    Ok(pairs)
}

fn put_there(bytes: &[u8]) -> (SimDisk, PathBuf) {
    let (disk, path) = (SimDisk::new(1), PathBuf::from("/base/altered.zgb"));
    disk.create(&path).unwrap().write_at(bytes, 0).unwrap();
    (disk, path)
}

#[test]
fn what_is_written_is_read_back_however_many_blocks_it_takes() {
    for count in [0, 1, 200, 3000] {
        let disk = SimDisk::new(1);
        let pairs = pairs(count);
        let (path, head) = written(&disk, &pairs);
        assert_eq!(read(&disk, &path).unwrap(), pairs);
        assert_eq!(BaseReader::prove(&disk, &path).unwrap(), head);
        assert_eq!((head.count, head.header), (u64::from(count), header()));
        assert_eq!(head.bytes, disk.read(&path).unwrap().len() as u64);
    }
}

#[test]
fn a_base_is_written_as_its_golden_bytes() {
    let disk = SimDisk::new(1);
    let pairs = vec![
        (b"c\x01".to_vec(), vec![1, 2, 3]),
        (b"o20260101".to_vec(), vec![]),
        (b"u1".to_vec(), b"order".to_vec()),
    ];
    let (path, _) = written(&disk, &pairs);
    let hex = HEXLOWER.encode(&disk.read(&path).unwrap());
    let lines: Vec<_> = hex
        .as_bytes()
        .chunks(96)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let text = lines.join("\n") + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/base_v1.hex");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&golden).unwrap_or_default(), text);
}

#[test]
fn a_base_altered_by_one_bit_or_cut_anywhere_is_refused() {
    let disk = SimDisk::new(1);
    let (path, _) = written(&disk, &pairs(40));
    let bytes = disk.read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        let (disk, path) = put_there(&altered);
        assert!(BaseReader::prove(&disk, &path).is_err(), "byte {at}");
        let (disk, path) = put_there(&bytes[..at]);
        assert!(BaseReader::open(&disk, &path).is_err(), "cut at {at}");
    }
    let (disk, path) = put_there(&[&bytes[..], &[0]].concat());
    assert!(BaseReader::open(&disk, &path).is_err(), "a byte more");
}

#[test]
fn a_damaged_block_is_named_by_its_offset_and_a_block_of_another_base_is_damage() {
    let disk = SimDisk::new(1);
    let (path, head) = written(&disk, &pairs(2000));
    let bytes = disk.read(&path).unwrap();
    let mut altered = bytes.clone();
    let at = usize::try_from(head.bytes / 2).unwrap();
    altered[at] ^= 1;
    let (disk, path) = put_there(&altered);
    let Err(BadBase::Damaged(offset)) = BaseReader::prove(&disk, &path) else {
        panic!("it must be refused");
    };
    let offset = usize::try_from(offset).unwrap();
    assert!(offset <= at && at < offset + (70 << 10), "{offset} of {at}");
    let mut other = bytes.clone();
    let with_other_salt = BaseHeader {
        salt: [4; 16],
        ..header()
    };
    other[..80].copy_from_slice(&with_other_salt.encode());
    let (disk, path) = put_there(&other);
    assert!(BaseReader::open(&disk, &path).is_err());
}

#[test]
fn a_newer_layout_and_a_run_are_not_taken_for_a_base() {
    let disk = SimDisk::new(1);
    let (path, _) = written(&disk, &pairs(3));
    let mut newer = disk.read(&path).unwrap();
    newer[8] = 2;
    let check = crc32c::crc32c(&newer[..76]);
    newer[76..80].copy_from_slice(&check.to_le_bytes());
    let (disk, path) = put_there(&newer);
    assert!(matches!(
        BaseReader::open(&disk, &path),
        Err(BadBase::Newer(2))
    ));
    let run = BaseHeader {
        content: Content::Run,
        ..header()
    };
    let path = PathBuf::from("/base/run-1.new");
    let mut writer = BaseWriter::create(&disk, &path, &run).unwrap();
    writer.put(b"a", None).unwrap();
    writer.put(b"b", Some(b"")).unwrap();
    writer.finish().unwrap();
    assert!(BaseReader::open(&disk, &path).is_err());
    let mut reader = BaseReader::open_run(&disk, &path).unwrap();
    assert_eq!(reader.next().unwrap(), Some((&b"a"[..], None)));
    assert_eq!(reader.next().unwrap(), Some((&b"b"[..], Some(&b""[..]))));
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn a_name_says_its_commit_and_nothing_else_is_a_base() {
    assert_eq!(BaseName::parse("0000000000000258.zgb"), Some(BaseName(258)));
    for name in [
        "258.zgb",
        "next.new",
        "0000000000000258.zgb.new",
        "0000000000000258-00000001.zgj",
    ] {
        assert_eq!(BaseName::parse(name), None, "{name}");
    }
}
