//! The machine: where the data lies, how much room is left, who may read the secrets.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::finding::{Finding, Topic, words};

/// Below this a shop cannot keep orders for long.
const SPACE_RED_MIB: u64 = 256;
/// Below this it should be thought about.
const SPACE_NOTICE_MIB: u64 = 1024;

/// What is to be said of the data directory.
pub(super) fn data_dir(path: &Path) -> Vec<Finding> {
    let shown = path.display();
    let Ok(found) = std::fs::metadata(path) else {
        return vec![parent(path), space(path)];
    };
    if !found.is_dir() {
        let seen = words(
            format!("数据目录 {shown} 不是目录"),
            format!("data directory {shown} is not a directory"),
        );
        let remedy = words(
            "改 [store] data_dir，或移走这个文件",
            "change [store] data_dir, or move that file away",
        );
        return vec![Finding::broken(Topic::Machine, seen, remedy)];
    }
    vec![owned(path, &found), space(path)]
}

/// A directory that is not there yet: `serve` makes it, if it may.
fn parent(path: &Path) -> Finding {
    let shown = path.display();
    let exists = path.ancestors().skip(1).map(nonempty).find(|p| p.exists());
    let writable = exists.is_some_and(may_write);
    if writable {
        let seen = words(
            format!("数据目录 {shown} 还没有，首次启动时创建"),
            format!("data directory {shown} will be made at the first start"),
        );
        return Finding::good(Topic::Machine, seen);
    }
    let seen = words(
        format!("数据目录 {shown} 不存在，也没有权限创建"),
        format!("data directory {shown} is not there and may not be made"),
    );
    Finding::broken(Topic::Machine, seen, give(path))
}

/// The current directory is written as an empty path by `ancestors`.
fn nonempty(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

fn owned(path: &Path, found: &std::fs::Metadata) -> Finding {
    let shown = path.display();
    let mode = found.permissions().mode() & 0o777;
    if !may_write(path) {
        let seen = words(
            format!(
                "数据目录 {shown} 当前用户不能写（属主 uid {}）",
                found.uid()
            ),
            format!(
                "data directory {shown} may not be written by this user (owner uid {})",
                found.uid()
            ),
        );
        return Finding::broken(Topic::Machine, seen, give(path));
    }
    if mode & 0o077 != 0 {
        let seen = words(
            format!("数据目录 {shown} 的权限是 {mode:o}，别的用户看得见"),
            format!("data directory {shown} has mode {mode:o}, others can look into it"),
        );
        let remedy = words(format!("chmod 700 {shown}"), format!("chmod 700 {shown}"));
        return Finding::broken(Topic::Machine, seen, remedy);
    }
    let seen = words(
        format!("数据目录 {shown} 只有本用户能读写"),
        format!("data directory {shown} is this user's alone"),
    );
    Finding::good(Topic::Machine, seen)
}

fn give(path: &Path) -> super::finding::Words {
    let shown = path.display();
    words(
        format!("用运行服务的用户执行 check；目录交给它：chown -R 用户 {shown}"),
        format!(
            "run check as the service's user, and give it the directory: chown -R USER {shown}"
        ),
    )
}

fn may_write(path: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn space(path: &Path) -> Finding {
    let exists = path.ancestors().map(nonempty).find(|p| p.exists());
    match rustix::fs::statvfs(exists.unwrap_or(Path::new("."))) {
        Ok(found) => room(found.f_bavail.saturating_mul(found.f_frsize) / (1024 * 1024)),
        Err(why) => Finding::notice(
            Topic::Machine,
            words(
                format!("看不到磁盘剩余空间：{why}"),
                format!("free disk space cannot be seen: {why}"),
            ),
            words("用 df -h 自己看一眼", "look with df -h"),
        ),
    }
}

/// What is to be said of `free_mib` of free space.
pub(super) fn room(free_mib: u64) -> Finding {
    let seen = words(
        format!("磁盘剩余 {free_mib} MiB"),
        format!("{free_mib} MiB of disk are free"),
    );
    let remedy = words(
        "清理磁盘或换更大的盘；空间用尽后不能再接单",
        "free some space or take a larger disk: a full disk takes no more orders",
    );
    match free_mib {
        0..SPACE_RED_MIB => Finding::broken(Topic::Machine, seen, remedy),
        SPACE_RED_MIB..SPACE_NOTICE_MIB => Finding::notice(Topic::Machine, seen, remedy),
        SPACE_NOTICE_MIB.. => Finding::good(Topic::Machine, seen),
    }
}

/// Who may read the configuration and the secrets it names.
pub(super) fn secrets(config: &Path, text: &str, variables: &[(String, String)]) -> Finding {
    let mut files = BTreeSet::from([config.to_owned()]);
    if let Ok(table) = text.parse::<toml::Table>() {
        collect(&table, &mut files);
    }
    let named = |(name, _): &&(String, String)| {
        name.starts_with("ZHANGGUI_") && is_secret(&name.to_lowercase())
    };
    files.extend(
        variables
            .iter()
            .filter(named)
            .map(|(_, path)| PathBuf::from(path)),
    );
    let open: Vec<_> = files.into_iter().filter(|file| others_read(file)).collect();
    if open.is_empty() {
        let seen = words(
            "配置和密钥文件别的用户读不到",
            "configuration and key files cannot be read by others",
        );
        return Finding::good(Topic::Machine, seen);
    }
    let list = open.iter().map(|file| file.display().to_string());
    let list = list.collect::<Vec<_>>().join(" ");
    let seen = words(
        format!("本机所有用户都能读：{list}"),
        format!("every user of this machine can read: {list}"),
    );
    let remedy = words(format!("chmod 600 {list}"), format!("chmod 600 {list}"));
    Finding::broken(Topic::Machine, seen, remedy)
}

/// The files that keys ending in `_file` name; public keys and certificates are no secrets.
fn collect(table: &toml::Table, files: &mut BTreeSet<PathBuf>) {
    for (name, value) in table {
        match value {
            toml::Value::Table(table) => collect(table, files),
            toml::Value::String(path) if is_secret(name) && !path.is_empty() => {
                files.insert(PathBuf::from(path));
            }
            _ => {}
        }
    }
}

fn is_secret(name: &str) -> bool {
    name.ends_with("_file") && !name.contains("public_key") && !name.contains("cert_file")
}

fn others_read(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Verdict;
    use std::fs;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn little_space_is_a_notice_and_almost_none_is_red() {
        assert_eq!(room(255).verdict, Verdict::Broken);
        assert_eq!(room(256).verdict, Verdict::Notice);
        assert_eq!(room(1024).verdict, Verdict::Good);
    }

    #[test]
    fn a_data_directory_that_others_see_is_red_and_one_that_is_not_there_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        assert_eq!(data_dir(&path)[0].verdict, Verdict::Good);
        fs::create_dir(&path).unwrap();
        chmod(&path, 0o755);
        assert_eq!(data_dir(&path)[0].verdict, Verdict::Broken);
        assert!(data_dir(&path)[0].remedy.zh.contains("chmod 700"));
        chmod(&path, 0o700);
        assert_eq!(data_dir(&path)[0].verdict, Verdict::Good);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(data_dir(&file)[0].verdict, Verdict::Broken);
    }

    #[test]
    fn a_secret_that_every_user_can_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (config, key) = (dir.path().join("config.toml"), dir.path().join("key.pem"));
        for file in [&config, &key] {
            fs::write(file, "").unwrap();
            chmod(file, 0o600);
        }
        let text = format!(
            "[wechat.pay]\nmerchant_key_file = {:?}\n",
            key.display().to_string()
        );
        assert_eq!(secrets(&config, &text, &[]).verdict, Verdict::Good);
        chmod(&key, 0o644);
        let found = secrets(&config, &text, &[]);
        assert_eq!(found.verdict, Verdict::Broken);
        assert!(found.seen.zh.contains("key.pem"));
        assert_eq!(secrets(&config, "", &[]).verdict, Verdict::Good);
        let variable = (
            "ZHANGGUI_WECHAT__SECRET_FILE".to_owned(),
            key.display().to_string(),
        );
        assert_eq!(secrets(&config, "", &[variable]).verdict, Verdict::Broken);
    }
}
