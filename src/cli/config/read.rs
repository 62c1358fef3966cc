//! From the file's text and the environment to what is written for each key, unknown ones named.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, FaultKind, Place};
use super::keys::{KEYS, Key, PREFIX, variable};
use super::rules::{Broken, Value};

/// A value as written, before its rule has seen it.
pub(super) struct Written {
    pub(super) value: Result<Value, Broken>,
    pub(super) place: Place,
}

/// What is written, by the environment variable of its key (or of its key with `_file`).
pub(super) type Found = HashMap<String, Written>;

/// What one file says.
pub(super) struct FileText {
    pub(super) found: Found,
    /// The line of each table's header.
    pub(super) sections: HashMap<String, usize>,
    pub(super) last_line: usize,
    pub(super) faults: Vec<Fault>,
}

/// Reads the text of a file.
pub(super) fn file(text: &str) -> FileText {
    let mut walk = Walk {
        lines: Lines::of(text),
        to: FileText {
            found: Found::new(),
            sections: HashMap::new(),
            last_line: text.lines().count().max(1),
            faults: vec![],
        },
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = walk.lines.at(&error.span().unwrap_or_default());
        let cause = format!("不是合法的 TOML（{}）", error.message());
        let problem = (FaultKind::Syntax, cause);
        walk.fault(Place::Line(line), "语法", problem, "改正这一行".to_owned());
    }
    walk.table("", table.get_ref());
    walk.to
}

/// Reads the variables that start with `ZHANGGUI_`.
pub(super) fn environment(
    variables: impl Iterator<Item = (String, String)>,
) -> (Found, Vec<Fault>) {
    let (mut found, mut faults) = (Found::new(), vec![]);
    for (name, text) in variables.filter(|(name, _)| name.starts_with(PREFIX)) {
        let place = Place::Variable(name.clone());
        match KEYS
            .iter()
            .find_map(|key| variable_value(key, &name, &text))
        {
            Some(value) => _ = found.insert(name, Written { value, place }),
            None => faults.push(Fault {
                place,
                key: name,
                kind: FaultKind::Unknown,
                cause: "没有对应的配置项".to_owned(),
                remedy: "改名，或从环境里去掉（写法：ZHANGGUI_表名__键名）".to_owned(),
            }),
        }
    }
    (found, faults)
}

fn variable_value(key: &Key, name: &str, text: &str) -> Option<Result<Value, Broken>> {
    if name == key.variable() {
        return Some(key.rule.read(text));
    }
    let file = key.file_variable();
    (file.as_deref() == Some(name)).then(|| Ok(Value::Text(text.into())))
}

/// Finds the line of a byte offset.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn at(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|&end| end < span.start) + 1
    }
}

struct Walk {
    lines: Lines,
    to: FileText,
}

impl Walk {
    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = match section {
                "" => name.get_ref().to_string(),
                _ => format!("{section}.{}", name.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(inner) if is_section(&path) => {
                    let line = self.lines.at(&name.span());
                    self.to.sections.insert(path.clone(), line);
                    self.table(&path, inner);
                }
                _ => self.value(section, name, value),
            }
        }
    }

    fn value(&mut self, section: &str, name: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let place = Place::Line(self.lines.at(&name.span()));
        let name = name.get_ref();
        if is_key(section, name) {
            let value = written(value.get_ref());
            self.to
                .found
                .insert(variable(section, name), Written { value, place });
            return;
        }
        let path = if section.is_empty() {
            name.to_string()
        } else {
            format!("{section}.{name}")
        };
        if is_section(&path) {
            let problem = (FaultKind::Type, "应是一个表，不是值".to_owned());
            self.fault(
                place,
                &format!("[{path}]"),
                problem,
                format!("改成表头 [{path}]"),
            );
        } else if value.get_ref().is_table() {
            let problem = (FaultKind::Unknown, "没有这个表".to_owned());
            self.fault(
                place,
                &format!("[{path}]"),
                problem,
                "对照 config.toml.example 改正".into(),
            );
        } else {
            let title = format!("[{section}] {name}");
            let problem = (FaultKind::Unknown, "没有这个配置项".to_owned());
            self.fault(place, &title, problem, nearest(section, name));
        }
    }

    fn fault(&mut self, place: Place, key: &str, problem: (FaultKind, String), remedy: String) {
        let (kind, cause) = problem;
        let key = key.to_owned();
        self.to.faults.push(Fault {
            place,
            key,
            kind,
            cause,
            remedy,
        });
    }
}

/// Whether `path` is a table of the file, or leads to one.
fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| {
        key.section == path
            || key
                .section
                .strip_prefix(path)
                .is_some_and(|t| t.starts_with('.'))
    })
}

fn is_key(section: &str, name: &str) -> bool {
    let mut keys = KEYS.iter().filter(|key| key.section == section);
    keys.any(|key| key.name == name || key.file_name().as_deref() == Some(name))
}

fn written(value: &DeValue<'_>) -> Result<Value, Broken> {
    match value {
        DeValue::String(text) => Ok(Value::Text(text.as_ref().into())),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .map(Value::Number)
            .map_err(|_| Broken::Range),
        DeValue::Array(items) => {
            let words = items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned));
            let words: Option<Vec<_>> = words.collect();
            words
                .map(Value::List)
                .ok_or(Broken::Type("列表里有不是文字的内容"))
        }
        DeValue::Float(_) => Err(Broken::Type("是小数")),
        DeValue::Boolean(_) => Err(Broken::Type("是布尔值")),
        DeValue::Datetime(_) => Err(Broken::Type("是日期")),
        DeValue::Table(_) => Err(Broken::Type("是表")),
    }
}

/// The remedy for an unknown name: the most alike key of the same table, or of any.
fn nearest(section: &str, name: &str) -> String {
    let alike = KEYS.iter().min_by_key(|key| {
        let elsewhere = usize::from(key.section != section) * 2;
        distance(key.name, name) + elsewhere
    });
    match alike {
        Some(key) if 2 * distance(key.name, name) < name.len().min(7) => {
            format!("是不是 {}？否则删去", key.title())
        }
        _ => "删去，或对照 config.toml.example 改正".to_owned(),
    }
}

/// How many single-character edits lie between two names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let kept = corner + usize::from(left != right);
            corner = row[j + 1];
            row[j + 1] = kept.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
