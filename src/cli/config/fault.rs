//! What is wrong with a configuration: where, which key, why, and what mends it.

use std::fmt;

/// Where a fault stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of the file, counted from 1.
    Line(usize),
    /// An environment variable.
    Variable(String),
}

/// The class of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Not TOML.
    Syntax,
    /// A key or table that does not exist.
    Unknown,
    /// A value of another type.
    Type,
    /// A value outside of its range or form.
    Range,
    /// A value that must be there and is not.
    Missing,
    /// The same value given twice, or values that exclude each other.
    Conflict,
    /// A file that cannot be read.
    File,
    /// A value that this version cannot serve.
    NotYet,
}

/// One thing that is wrong. Never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// The key, as `[section] name`.
    pub key: String,
    /// Its class.
    pub kind: FaultKind,
    /// What is wrong, in Chinese.
    pub cause: String,
    /// What mends it, in Chinese.
    pub remedy: String,
}

/// Why a file cannot be read, in Chinese.
pub(super) fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "文件不存在".to_owned(),
        std::io::ErrorKind::PermissionDenied => "没有权限读".to_owned(),
        std::io::ErrorKind::InvalidData => "不是 UTF-8 文本".to_owned(),
        kind => format!("读不出来：{kind}"),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "第 {line} 行"),
            Self::Variable(name) => write!(f, "环境变量 {name}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            key,
            cause,
            remedy,
            ..
        } = self;
        write!(f, "{place}  {key}：{cause}。处理：{remedy}。")
    }
}

/// Everything that is wrong with one configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The file's name, as given.
    pub file: String,
    /// By line, then those of the environment.
    pub list: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "配置 {} 有 {} 处错误：", self.file, self.list.len())?;
        for fault in &self.list {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
