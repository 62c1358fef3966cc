//! What a disk holds after a power cut: the changes that `preload/faults.c` wrote down, of which
//! only what was synced is certain, and a seeded part of the rest.
//!
//! A file's content is certain by its own fsync or fdatasync, a name by the fsync of its directory,
//! nothing by anything else: harsher than the file systems we know.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// One change, or one sync.
#[derive(Debug)]
enum Op {
    Create(u64, String),
    Write(u64, usize, Vec<u8>),
    Truncate(u64, usize),
    Sync(u64),
    SyncDir(String),
    Rename(String, String),
    Link(String, String),
    Unlink(String),
    Mkdir(String),
}

/// All that happened to a disk.
pub(crate) struct Trace(Vec<(usize, Op)>);

impl Trace {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let (mut ops, mut at) = (vec![], 0);
        while at < bytes.len() {
            let end = at + bytes[at..].iter().position(|byte| *byte == b'\n').unwrap();
            let head = str::from_utf8(&bytes[at..end]).unwrap();
            at = end + 1;
            let (kind, rest) = head.split_at_checked(2).unwrap();
            let op = match kind {
                "W " => {
                    let numbers: Vec<usize> = rest.split(' ').map(|n| n.parse().unwrap()).collect();
                    let content = bytes[at..at + numbers[2]].to_vec();
                    at += numbers[2];
                    Op::Write(numbers[0] as u64, numbers[1], content)
                }
                _ => small(kind, rest),
            };
            ops.push((at, op));
        }
        Self(ops)
    }

    /// Where a cut can fall behind `from`: the ends of the changes, in bytes of the trace.
    pub(crate) fn ends_after(&self, from: usize) -> Vec<usize> {
        let ends = self.0.iter().map(|(end, _)| *end);
        ends.filter(|end| *end > from).collect()
    }

    /// The ends of what gives names: segments that begin, files that are replaced.
    pub(crate) fn namings_after(&self, from: usize) -> Vec<usize> {
        let naming = |op: &Op| matches!(op, Op::Rename(..) | Op::SyncDir(_) | Op::Unlink(_));
        let namings = self.0.iter().filter(|(_, op)| naming(op));
        let ends = namings.map(|(end, _)| *end);
        ends.filter(|end| *end > from).collect()
    }

    /// Makes in `dir` what the disk holds when the power goes after `cut` bytes of the trace, and
    /// takes it for the home of the store.
    pub(crate) fn after_cut(&self, cut: usize, seed: u64, dir: &Path) {
        let mut disk = Disk::default();
        for (_, op) in self.0.iter().take_while(|(end, _)| *end <= cut) {
            disk.take(op);
        }
        disk.lose(&mut Chance(seed));
        fs::create_dir_all(dir).unwrap();
        disk.write_to(dir);
        move_in(dir);
    }
}

fn small(kind: &str, rest: &str) -> Op {
    let number = |text: &str| text.parse::<u64>().unwrap();
    let two = || rest.split_once([' ', '\t']).unwrap();
    let pair = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
    match kind {
        "C " => Op::Create(number(two().0), two().1.to_owned()),
        "T " => Op::Truncate(number(two().0), two().1.parse().unwrap()),
        "S " => Op::Sync(number(rest)),
        "D " => Op::SyncDir(rest.to_owned()),
        "R " => {
            let (from, to) = pair(two());
            Op::Rename(from, to)
        }
        "L " => {
            let (from, to) = pair(two());
            Op::Link(from, to)
        }
        "U " => Op::Unlink(rest.to_owned()),
        "M " => Op::Mkdir(rest.to_owned()),
        _ => panic!("no such change: {kind}{rest}"),
    }
}

/// What becomes of a name.
#[derive(Clone, Debug)]
enum Naming {
    File(String, usize),
    Dir(String),
    Move(String, String),
    Gone(String),
}

impl Naming {
    fn directory(&self) -> &str {
        let (Self::File(path, _) | Self::Dir(path) | Self::Move(_, path) | Self::Gone(path)) = self;
        parent(path)
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
enum Named {
    File(usize),
    Dir,
}

#[derive(Default)]
struct Content {
    certain: Vec<u8>,
    /// Writes and truncations that no sync has covered.
    open: Vec<(usize, Option<Vec<u8>>)>,
}

#[derive(Default)]
struct Disk {
    files: Vec<Content>,
    by_inode: BTreeMap<u64, usize>,
    /// As programs see them.
    seen: BTreeMap<String, usize>,
    certain: BTreeMap<String, Named>,
    open: Vec<Naming>,
}

impl Disk {
    fn file(&mut self, inode: u64) -> &mut Content {
        let file = self
            .by_inode
            .get(&inode)
            .expect("a file that was never made");
        &mut self.files[*file]
    }

    fn take(&mut self, op: &Op) {
        match op {
            Op::Create(inode, path) => {
                self.files.push(Content::default());
                let file = self.files.len() - 1;
                self.by_inode.insert(*inode, file);
                self.seen.insert(path.clone(), file);
                self.open.push(Naming::File(path.clone(), file));
            }
            Op::Write(inode, at, bytes) => {
                self.file(*inode).open.push((*at, Some(bytes.clone())));
            }
            Op::Truncate(inode, length) => self.file(*inode).open.push((*length, None)),
            Op::Sync(inode) => {
                let file = self.file(*inode);
                for (at, bytes) in std::mem::take(&mut file.open) {
                    change(&mut file.certain, at, bytes.as_deref());
                }
            }
            Op::SyncDir(dir) => {
                let all = std::mem::take(&mut self.open);
                let (here, elsewhere) = all.into_iter().partition(|one| one.directory() == dir);
                self.open = elsewhere;
                Vec::into_iter(here).for_each(|one| self.name(one));
            }
            Op::Rename(from, to) => {
                if let Some(file) = self.seen.remove(from) {
                    self.seen.insert(to.clone(), file);
                    // The target is there with its content, or the source is: never neither.
                    self.open.push(Naming::File(from.clone(), file));
                }
                self.open.push(Naming::Move(from.clone(), to.clone()));
            }
            Op::Link(from, to) => {
                let file = self.seen[from];
                self.seen.insert(to.clone(), file);
                self.open.push(Naming::File(to.clone(), file));
            }
            Op::Unlink(path) => {
                self.seen.remove(path);
                self.open.push(Naming::Gone(path.clone()));
            }
            Op::Mkdir(path) => self.open.push(Naming::Dir(path.clone())),
        }
    }

    fn name(&mut self, naming: Naming) {
        match naming {
            Naming::File(path, file) => self.certain.insert(path, Named::File(file)),
            Naming::Dir(path) => self.certain.insert(path, Named::Dir),
            Naming::Gone(path) => self.certain.remove(&path),
            Naming::Move(from, to) => match self.certain.remove(&from) {
                Some(named) => self.certain.insert(to, named),
                None => None,
            },
        };
    }

    /// Of what is not certain, some reached the disk: names in their order, sectors in any.
    fn lose(&mut self, chance: &mut Chance) {
        for naming in std::mem::take(&mut self.open) {
            if chance.falls() {
                self.name(naming);
            }
        }
        for file in &mut self.files {
            for (at, bytes) in std::mem::take(&mut file.open) {
                match bytes {
                    None if chance.falls() => change(&mut file.certain, at, None),
                    None => {}
                    Some(bytes) => scatter(&mut file.certain, at, &bytes, chance),
                }
            }
        }
    }

    fn write_to(&self, dir: &Path) {
        let dirs = self
            .certain
            .iter()
            .filter(|(_, named)| matches!(named, Named::Dir));
        for (path, _) in dirs {
            fs::create_dir_all(dir.join(path)).unwrap();
        }
        for (path, named) in &self.certain {
            let Named::File(file) = named else { continue };
            let there = parent(path).is_empty() || self.certain.contains_key(parent(path));
            if there {
                fs::write(dir.join(path), &self.files[*file].certain).unwrap();
            }
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn change(content: &mut Vec<u8>, at: usize, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        return content.resize(at, 0);
    };
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// Writes a part of `bytes`, by sectors of 512 bytes.
fn scatter(content: &mut Vec<u8>, at: usize, bytes: &[u8], chance: &mut Chance) {
    let mut from = 0;
    while from < bytes.len() {
        let to = bytes.len().min((at + from) / 512 * 512 + 512 - at);
        if chance.falls() {
            change(content, at + from, Some(&bytes[from..to]));
        }
        from = to;
    }
}

/// Seeded chances; a seed of 0 loses everything that is not certain.
struct Chance(u64);

impl Chance {
    fn falls(&mut self) -> bool {
        if self.0 == 0 {
            return false;
        }
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 1 == 1
    }
}

/// FORMAT names the directory by its inode: here it is another one, and meant as the same.
fn move_in(dir: &Path) {
    let Ok(text) = fs::read_to_string(dir.join("FORMAT")) else {
        return;
    };
    let meta = fs::metadata(dir.join("journal")).unwrap();
    let born = meta
        .created()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let place = format!(
        "journal {} {}",
        meta.ino(),
        born.map_or(0, |since| since.as_nanos())
    );
    let mut content = String::new();
    for line in text.lines().filter(|line| !line.starts_with("check ")) {
        let line = if line.starts_with("journal ") {
            &place
        } else {
            line
        };
        content += &format!("{line}\n");
    }
    let check = crc32c::crc32c(content.as_bytes());
    fs::write(dir.join("FORMAT"), format!("{content}check {check:08x}\n")).unwrap();
}
