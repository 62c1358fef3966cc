//! The rules of the house as functions from one file to its faults.
//!
//! Each rule has a row in [`RULES`] with a snippet that breaks it, so that no rule can fall silent.

use crate::source::{Function, code_only, functions, line_of, shipped_code, words};
use crate::tidy_imports::{floors, homes, mirror, module};

/// One file of the repository.
pub(crate) struct File {
    /// From the top level, with slashes: `src/base/money.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A rule: its sentence, how it judges, and a file that must not pass.
pub(crate) struct Rule {
    pub(crate) says: &'static str,
    pub(crate) judge: fn(&File) -> Vec<String>,
    pub(crate) breaks: (&'static str, &'static str),
}

/// Every rule that looks at one file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        says: "imports go down only, never up, never sideways",
        judge: floors,
        breaks: ("src/store/x.rs", "use crate::{base::Fen, shop::Shop};"),
    },
    Rule {
        says: "sandbox never imports wechat",
        judge: mirror,
        breaks: ("src/sandbox/x.rs", "fn a() { super::super::wechat::b() }"),
    },
    Rule {
        says: "an outside crate has one home",
        judge: homes,
        breaks: ("src/shop/x.rs", "fn a() { sled::open(b) }"),
    },
    Rule {
        says: "names are the field's: no data, info, manager, helper, util, process, handle",
        judge: banned_names,
        breaks: ("src/shop/x.rs", "struct OrderManager;"),
    },
    Rule {
        says: "a file has at most 400 lines",
        judge: file_length,
        breaks: ("src/shop/x.rs", LONG_FILE),
    },
    Rule {
        says: "a function has at most 60 lines, a test 100",
        judge: function_length,
        breaks: ("src/shop/x.rs", LONG_FUNCTION),
    },
    Rule {
        says: "a line has at most 100 characters",
        judge: line_length,
        breaks: ("src/shop/x.rs", LONG_LINE),
    },
    Rule {
        says: "no `_` arm in model",
        judge: wild_arms,
        breaks: ("src/model/x.rs", "match a { B => 1, _ => 2 }"),
    },
    Rule {
        says: "no stub and no test that does not run",
        judge: stubs,
        breaks: ("src/shop/x.rs", concat!("fn a() { to", "do!() }")),
    },
    Rule {
        says: "printing, exiting and the environment belong to cli",
        judge: terminal,
        breaks: ("src/shop/x.rs", "fn a() { println!(\"b\") }"),
    },
    Rule {
        says: "the clock is read in base/time only",
        judge: clock,
        breaks: ("src/shop/x.rs", "fn a() { SystemTime::now() }"),
    },
    Rule {
        says: "no float anywhere",
        judge: floats,
        breaks: ("src/shop/x.rs", "fn a(yuan: f64) {}"),
    },
    Rule {
        says: "nothing names a machine's paths",
        judge: machine_paths,
        breaks: ("README.md", concat!("see /wo", "rk/shared")),
    },
    Rule {
        says: "a lint is silenced with its reason, and dead code never",
        judge: silenced,
        breaks: ("src/shop/x.rs", "#![allow(dead_code)]"),
    },
];

const LONG_FILE: &str = concat!(
    include_str!("tidy_rules.rs"),
    include_str!("tidy_rules.rs"),
    include_str!("tidy_rules.rs")
);
const LONG_FUNCTION: &str = concat!(
    "fn a() {\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n}"
);
const LONG_LINE: &str = concat!(
    "// 掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜",
    "掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜",
    "掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜掌柜"
);

const BANNED: &[&str] = &[
    "data", "info", "manager", "helper", "helpers", "util", "utils", "process", "handle",
];

fn is_test_file(file: &File) -> bool {
    let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
    let name = stem.rsplit('/').next().unwrap_or(stem);
    file.path.starts_with("tests/") || name == "tests" || name.ends_with("_tests")
}

pub(crate) fn fault(file: &File, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", file.path)
}

fn banned_names(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let stem = file.path.rsplit('/').next().unwrap_or("");
    let stem = stem.strip_suffix(".rs").unwrap_or("");
    if BANNED.contains(&stem) {
        faults.push(fault(file, 1, "the file's name says nothing"));
    }
    let code = code_only(&file.text);
    let all: Vec<(usize, &str)> = words(&code).collect();
    for pair in all.windows(2) {
        let ((_, keyword), (at, name)) = (pair[0], pair[1]);
        let names = ["fn", "struct", "enum", "trait", "type", "mod"];
        if names.contains(&keyword) && says_nothing(name) {
            let what = format!("`{name}` says nothing");
            faults.push(fault(file, line_of(&code, at), &what));
        }
    }
    faults
}

/// Names that are WeChat's, word for word.
const THEIRS: &[&str] = &["SceneInfo"];

/// Whether a banned word is the whole of a snake_case name or the last word of a CamelCase one.
fn says_nothing(name: &str) -> bool {
    let last = name
        .rfind(|c: char| c.is_uppercase())
        .map_or(name, |at| &name[at..]);
    BANNED.contains(&last.to_lowercase().as_str()) && !THEIRS.contains(&name)
}

fn file_length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let long = file.path.ends_with(".rs") && lines > 400;
    long.then(|| fault(file, lines, "more than 400 lines"))
        .into_iter()
        .collect()
}

/// A test's table of cases may be longer: it is one thought, however many rows.
fn function_length(file: &File) -> Vec<String> {
    let shipped = functions(&shipped_code(&file.text));
    let limit = |f: &Function| {
        let ships = !is_test_file(file) && shipped.iter().any(|other| other.line == f.line);
        if ships { 60 } else { 100 }
    };
    let all = functions(&code_only(&file.text)).into_iter();
    let long = all.filter(|f| f.lines > limit(f));
    long.map(|f| fault(file, f.line, &format!("`{}` has {} lines", f.name, f.lines)))
        .collect()
}

fn line_length(file: &File) -> Vec<String> {
    let rust = file.path.ends_with(".rs");
    let long = file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.chars().count() > 100);
    long.filter(|_| rust)
        .map(|(at, _)| fault(file, at + 1, "over 100 characters"))
        .collect()
}

fn wild_arms(file: &File) -> Vec<String> {
    if module(file) != Some("model") || is_test_file(file) {
        return vec![];
    }
    let code = shipped_code(&file.text);
    let arms = words(&code)
        .filter(|(at, word)| *word == "_" && code[at + 1..].trim_start().starts_with("=>"));
    arms.map(|(at, _)| fault(file, line_of(&code, at), "a `_` arm"))
        .collect()
}

/// Places in the shipped code of `src` where one of `needles` stands, outside `except`.
fn shipped_needles(file: &File, needles: &[&str], except: &[&str]) -> Vec<String> {
    let excepted = except.iter().any(|path| file.path.starts_with(path));
    if !file.path.starts_with("src/") || excepted || is_test_file(file) {
        return vec![];
    }
    let code = shipped_code(&file.text);
    let mut faults = Vec::new();
    for needle in needles {
        for (at, _) in code.match_indices(needle) {
            let inside = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if !inside {
                faults.push(fault(file, line_of(&code, at), needle));
            }
        }
    }
    faults
}

fn stubs(file: &File) -> Vec<String> {
    let code = code_only(&file.text);
    // In halves, so that who searches the tree for these words finds only real ones.
    let needles = [
        concat!("to", "do!"),
        concat!("un", "implemented!"),
        concat!("#[", "ignore"),
    ];
    let found = needles.iter().flat_map(|needle| code.match_indices(needle));
    found
        .map(|(at, what)| fault(file, line_of(&code, at), what))
        .collect()
}

fn terminal(file: &File) -> Vec<String> {
    let needles = [
        "println!",
        "eprintln!",
        "print!",
        "eprint!",
        "process::exit",
        "std::env",
    ];
    shipped_needles(file, &needles, &["src/cli/", "src/main.rs"])
}

fn clock(file: &File) -> Vec<String> {
    let mut faults = shipped_needles(file, &["SystemTime::now"], &["src/base/time.rs"]);
    let spans = ["src/base/time.rs", "src/web/", "src/store/", "src/cli/"];
    faults.extend(shipped_needles(file, &["Instant::now"], &spans));
    faults
}

fn floats(file: &File) -> Vec<String> {
    if !file.path.starts_with("src/") {
        return vec![];
    }
    let code = code_only(&file.text);
    let found = words(&code).filter(|(_, word)| matches!(*word, "f32" | "f64"));
    found
        .map(|(at, word)| fault(file, line_of(&code, at), word))
        .collect()
}

fn machine_paths(file: &File) -> Vec<String> {
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let found = needles
        .iter()
        .flat_map(|needle| file.text.match_indices(needle));
    found
        .map(|(at, what)| fault(file, line_of(&file.text, at), what))
        .collect()
}

fn silenced(file: &File) -> Vec<String> {
    let needles = [
        "allow(dead_code",
        "allow(unused",
        "allow(missing_docs",
        "allow(warnings",
    ];
    shipped_needles(file, &needles, &[])
}
