//! One value a key: the environment before the file, the file before the default; then its rule.

use std::collections::HashMap;

use super::fault::{Fault, FaultKind, Place, unreadable};
use super::keys::{KEYS, Key, Need};
use super::read::{self, FileText, Found, Written};
use super::rules::{Broken, Value};
use crate::base::Secret;

/// The value of every key that has a good one, and the faults of the others.
pub(super) struct Settled {
    values: HashMap<&'static str, HashMap<&'static str, (Value, Place)>>,
    sections: HashMap<String, usize>,
    last_line: usize,
    pub(super) faults: Vec<Fault>,
}

/// Reads `text` and `environment` and settles every key.
pub(super) fn settle(text: &str, environment: impl Iterator<Item = (String, String)>) -> Settled {
    let (mut variables, faults) = read::environment(environment);
    let FileText {
        mut found,
        sections,
        last_line,
        faults: in_file,
    } = read::file(text);
    let mut settled = Settled {
        values: HashMap::new(),
        sections,
        last_line,
        faults: in_file,
    };
    settled.faults.extend(faults);
    let broken: Vec<_> = settled
        .faults
        .iter()
        .filter(|f| f.kind == FaultKind::Syntax)
        .collect();
    let broken: Vec<_> = broken
        .into_iter()
        .map(|fault| fault.place.clone())
        .collect();
    for key in KEYS {
        if let Err(fault) = settled.key(key, &mut variables, &mut found) {
            settled.faults.push(fault);
        }
    }
    if !broken.is_empty() {
        // What a broken line hid is not missing, and a broken line has one fault, not two.
        settled.faults.retain(|fault| {
            let said = fault.kind != FaultKind::Syntax && broken.contains(&fault.place);
            fault.kind != FaultKind::Missing && !said
        });
    }
    settled
}

impl Settled {
    fn key(
        &mut self,
        key: &'static Key,
        variables: &mut Found,
        found: &mut Found,
    ) -> Result<(), Fault> {
        let from_environment = pick(key, variables)?;
        let from_file = pick(key, found)?;
        let default = || Written {
            value: key.rule.read(key.default),
            place: self.missing_place(key.section),
        };
        let Written { value, place } = from_environment.or(from_file).unwrap_or_else(default);
        let at = |kind, cause: &str, remedy| fault(key, &place, (kind, cause), remedy);
        let checked = match value {
            Ok(Value::Text(text)) if text.is_empty() && key.need == Need::Required => {
                return Err(at(FaultKind::Missing, "必填，但没有填", remedy(key)));
            }
            Ok(value) => key.rule.check(value),
            Err(broken) => Err(broken),
        };
        let value = checked.map_err(|broken| match broken {
            Broken::Type(what) => at(FaultKind::Type, &format!("类型不对，{what}"), remedy(key)),
            Broken::Range => at(FaultKind::Range, "值不在允许的范围内", remedy(key)),
            Broken::File(what) => at(FaultKind::File, &what, remedy(key)),
        })?;
        self.values
            .entry(key.section)
            .or_default()
            .insert(key.name, (value, place));
        Ok(())
    }

    /// Where to put what is missing in `section`: its header, or the end of the file.
    fn missing_place(&self, section: &str) -> Place {
        Place::Line(
            self.sections
                .get(section)
                .copied()
                .unwrap_or(self.last_line),
        )
    }

    /// Adds a fault of a key that is otherwise well.
    pub(super) fn add(&mut self, title: (&str, &str), kind: FaultKind, words: (&str, &str)) {
        let (section, name) = title;
        let value = self.values.get(section).and_then(|values| values.get(name));
        let place = value.map_or_else(|| self.missing_place(section), |(_, place)| place.clone());
        let key = format!("[{section}] {name}");
        let (cause, remedy) = (words.0.to_owned(), words.1.to_owned());
        self.faults.push(Fault {
            place,
            key,
            kind,
            cause,
            remedy,
        });
    }

    /// Sets a key that is otherwise well, as if the file said so.
    pub(super) fn set(&mut self, (section, name): (&'static str, &'static str), value: Value) {
        let missing = self.missing_place(section);
        let values = self.values.entry(section).or_default();
        let place = values.remove(name).map_or(missing, |(_, place)| place);
        values.insert(name, (value, place));
    }

    fn value(&self, section: &str, name: &str) -> Option<&Value> {
        self.values.get(section)?.get(name).map(|(value, _)| value)
    }

    /// The text of a key; `None` when it is at fault.
    pub(super) fn text(&self, section: &str, name: &str) -> Option<&Secret<String>> {
        match self.value(section, name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::List(_) => None,
        }
    }

    /// The number of a key; `None` when it is at fault.
    pub(super) fn number(&self, section: &str, name: &str) -> Option<u64> {
        match self.value(section, name)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::List(_) => None,
        }
    }

    /// The list of a key; `None` when it is at fault.
    pub(super) fn list(&self, section: &str, name: &str) -> Option<&[String]> {
        match self.value(section, name)? {
            Value::List(words) => Some(words),
            Value::Text(_) | Value::Number(_) => None,
        }
    }
}

fn fault(key: &Key, place: &Place, problem: (FaultKind, &str), remedy: String) -> Fault {
    let (kind, cause) = (problem.0, problem.1.to_owned());
    Fault {
        place: place.clone(),
        key: key.title(),
        kind,
        cause,
        remedy,
    }
}

fn remedy(key: &Key) -> String {
    let wanted = key.rule.wanted();
    match key.file_name() {
        Some(file) => format!("{wanted}；也可用 {file} 指向存放它的文件"),
        None => wanted,
    }
}

/// What one source says of `key`, directly or through the file that its `_file` names.
fn pick(key: &Key, found: &mut Found) -> Result<Option<Written>, Fault> {
    let direct = found.remove(&key.variable());
    let in_file = key
        .file_variable()
        .and_then(|variable| found.remove(&variable));
    match (direct, in_file) {
        (Some(Written { place, .. }), Some(_)) => {
            let cause = "值和它的 _file 同时给了";
            let problem = (FaultKind::Conflict, cause);
            Err(fault(key, &place, problem, "只留一个".to_owned()))
        }
        (direct, None) => Ok(direct),
        (None, Some(named)) => from_file(key, named).map(Some),
    }
}

fn from_file(key: &Key, named: Written) -> Result<Written, Fault> {
    let Written { value, place } = named;
    let at = |kind, cause: &str, remedy: &str| {
        let name = key.file_name().unwrap_or_default();
        let mut fault = fault(key, &place, (kind, cause), remedy.to_owned());
        fault.key = format!("[{}] {name}", key.section);
        fault
    };
    let Ok(Value::Text(path)) = value else {
        return Err(at(
            FaultKind::Type,
            "类型不对，应是文件路径",
            "写路径，用引号括起",
        ));
    };
    let path = path.reveal();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let cause = format!("{path}：{}", unreadable(&error));
        at(FaultKind::File, &cause, "检查路径和权限，或直接写值")
    })?;
    let text = Secret::new(text);
    let line = text.reveal().strip_suffix('\n').unwrap_or(text.reveal());
    Ok(Written {
        value: key.rule.read(line),
        place,
    })
}
