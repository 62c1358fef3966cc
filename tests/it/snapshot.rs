//! A directory as it is: every name in it with its mode and its content, to prove that nothing was
//! changed or deleted.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What is under `dir`, by path.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    visit(dir, "", &mut found);
    found
}

fn visit(dir: &Path, under: &str, found: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{under}{}", entry.file_name().to_str().unwrap());
        let meta = entry.metadata().unwrap();
        let mode = meta.permissions().mode();
        if meta.is_dir() {
            visit(&entry.path(), &format!("{path}/"), found);
            found.insert(path, (mode, vec![]));
        } else if meta.is_file() {
            found.insert(path, (mode, fs::read(entry.path()).unwrap()));
        }
    }
}
