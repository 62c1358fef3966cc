//! A disk that fails, hangs or is written down: `preload/faults.c` between the real binary and the
//! system, told what to do by a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::world::{Setup, World};

/// The disk of one data directory.
pub(crate) struct FaultyDisk {
    control: PathBuf,
    pub(crate) trace: PathBuf,
}

impl FaultyDisk {
    /// A world whose server has this disk; nothing is wrong with it yet.
    pub(crate) fn world(choose: impl FnOnce(&mut Setup)) -> (World, Self) {
        let mut world = World::with(choose);
        world.stop();
        let place = fs::canonicalize(world.dir.path()).unwrap();
        let disk = Self {
            control: place.join("faults"),
            trace: place.join("trace"),
        };
        disk.heal();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let env = [
            ("LD_PRELOAD", text(library())),
            ("ZG_DISK_ROOT", text(&place.join("data"))),
            ("ZG_DISK_CONTROL", text(&disk.control)),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value));
        world.setup.env.extend(env);
        (world, disk)
    }

    /// A world without any data, whose server will have everything written down that it asks of
    /// the disk.
    pub(crate) fn traced(choose: impl FnOnce(&mut Setup)) -> (World, Self) {
        let (mut world, disk) = Self::world(choose);
        fs::remove_dir_all(world.data_dir()).unwrap();
        let trace = disk.trace.to_str().unwrap().to_owned();
        world.setup.env.push(("ZG_DISK_TRACE".to_owned(), trace));
        (world, disk)
    }

    /// From now on the disk does as `rule` says: see the head of `faults.c`.
    pub(crate) fn breaks(&self, rule: &str) {
        let new = self.control.with_extension("new");
        fs::write(&new, format!("{rule}\n")).unwrap();
        fs::rename(&new, &self.control).unwrap();
    }

    /// Nothing is wrong any more.
    pub(crate) fn heal(&self) {
        self.breaks("");
    }
}

/// The library, built once a run.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/preload/faults.c");
        let built = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Another run may be using the one that is there.
        let built = built.join(format!("faults-{}.so", std::process::id()));
        let output = Command::new("cc")
            .args([
                "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o",
            ])
            .args([&built, &source])
            .args(["-ldl", "-lpthread"])
            .output();
        let output = output.expect("a C compiler (cc) is needed, as it is to build the program");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        built
    })
}
