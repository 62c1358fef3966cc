//! WeChat's flat XML: one root, one level of text children. Anything cleverer is refused.
//!
//! Source: 微信支付 APIv2 · 协议规则, and its guidance on XXE (CVE-2018-13439).

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The largest document read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most children read.
pub const MAX_FIELDS: usize = 300;

/// The children of one document, in the order they stand, names unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

/// Why a text is not a flat document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadXml {
    /// Larger than [`MAX_BYTES`] or with more than [`MAX_FIELDS`] children.
    #[error("the document is too large")]
    TooLarge,
    /// A DOCTYPE, a processing instruction or an entity beyond the five predefined ones.
    #[error("DOCTYPE, processing instructions and own entities are refused")]
    Forbidden,
    /// Children within children, text beside children, or another root.
    #[error("the document must be <xml> with one level of children")]
    Shape,
    /// The same child name twice.
    #[error("a field stands there twice")]
    Duplicate,
    /// Not well-formed, or not UTF-8.
    #[error("the document is not well-formed UTF-8 XML")]
    Malformed,
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, replacing one of the same name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some(field) => field.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The same fields with one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// The value of `name`, also when empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The value of `name`, or the empty text.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// All fields, in the order they stand.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Reads a document whose root is `root` (`xml`; `root` inside a refund notify).
    ///
    /// Values are taken verbatim: no trimming, no numbers.
    ///
    /// # Errors
    /// [`BadXml`], by cause. Nothing is expanded, fetched or guessed.
    pub fn parse(document: &[u8], root: &str) -> Result<Self, BadXml> {
        if document.len() > MAX_BYTES {
            return Err(BadXml::TooLarge);
        }
        let text = std::str::from_utf8(document).map_err(|_| BadXml::Malformed)?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut state = Parsing {
            root,
            ..Parsing::default()
        };
        loop {
            match reader.read_event().map_err(|_| BadXml::Malformed)? {
                Event::Eof => return state.finished(),
                event => state.take(event)?,
            }
        }
    }

    /// The document, every value in CDATA (split where it holds `]]>`).
    pub fn to_xml(&self) -> String {
        self.to_xml_as("xml")
    }

    /// The document under another root.
    pub fn to_xml_as(&self, root: &str) -> String {
        let mut text = format!("<{root}>");
        for (name, value) in self.iter() {
            let value = value.replace("]]>", "]]]]><![CDATA[>");
            text.push_str(&format!("<{name}><![CDATA[{value}]]></{name}>"));
        }
        text.push_str(&format!("</{root}>"));
        text
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(
            fields
                .into_iter()
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
        )
    }
}

#[derive(Default)]
struct Parsing<'a> {
    root: &'a str,
    opened: bool,
    closed: bool,
    field: Option<(String, String)>,
    fields: Vec<(String, String)>,
}

impl Parsing<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), BadXml> {
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::Empty(tag) => {
                self.open(&tag)?;
                self.close()
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(&text),
            Event::CData(text) => match self.field {
                Some(_) => self.text(&text),
                None => Err(BadXml::Shape),
            },
            Event::GeneralRef(entity) => self.text(&expand(&entity)?),
            Event::Decl(_) if !self.opened => Ok(()),
            Event::Comment(_) => Ok(()),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Err(BadXml::Forbidden),
            Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), BadXml> {
        let name = tag.name();
        let name: &str = name.as_ref();
        if tag.attributes().next().is_some() || self.closed || self.field.is_some() {
            return Err(BadXml::Shape);
        }
        if !self.opened {
            self.opened = true;
            return if name == self.root {
                Ok(())
            } else {
                Err(BadXml::Shape)
            };
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(BadXml::Shape);
        }
        self.field = Some((name.to_owned(), String::new()));
        Ok(())
    }

    fn close(&mut self) -> Result<(), BadXml> {
        let Some(field) = self.field.take() else {
            self.closed = true;
            return Ok(());
        };
        if self.fields.iter().any(|(name, _)| *name == field.0) {
            return Err(BadXml::Duplicate);
        }
        if self.fields.len() == MAX_FIELDS {
            return Err(BadXml::TooLarge);
        }
        self.fields.push(field);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), BadXml> {
        match &mut self.field {
            Some((_, value)) => value.push_str(text),
            None if text.trim_ascii().is_empty() => {}
            None => return Err(BadXml::Shape),
        }
        Ok(())
    }

    fn finished(self) -> Result<Fields, BadXml> {
        if self.closed {
            Ok(Fields(self.fields))
        } else {
            Err(BadXml::Malformed)
        }
    }
}

fn expand(entity: &BytesRef<'_>) -> Result<String, BadXml> {
    if let Some(c) = entity.resolve_char_ref().map_err(|_| BadXml::Malformed)? {
        return Ok(c.to_string());
    }
    let text = quick_xml::escape::resolve_predefined_entity(entity).ok_or(BadXml::Forbidden)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fields, BadXml> {
        Fields::parse(text.as_bytes(), "xml")
    }

    #[test]
    fn text_is_taken_verbatim_whatever_its_wrapping() {
        let fields = parse(
            "<?xml version=\"1.0\"?>\n<xml>\n <a> 007 </a><b><![CDATA[<&]]></b><c>&lt;&amp;&#39;\
             &#x4e2d;</c><d/><e></e><f>x<![CDATA[ y ]]>z</f>\n</xml>\n",
        )
        .expect("flat");
        let all: Vec<_> = fields.iter().collect();
        let want = [
            ("a", " 007 "),
            ("b", "<&"),
            ("c", "<&'中"),
            ("d", ""),
            ("e", ""),
        ];
        assert_eq!(all[..5], want);
        assert_eq!(fields.text("f"), "x y z");
    }

    #[test]
    fn what_is_not_flat_and_plain_is_refused() {
        let table = [
            ("<!DOCTYPE xml><xml><a>1</a></xml>", BadXml::Forbidden),
            ("<?php x?><xml><a>1</a></xml>", BadXml::Forbidden),
            ("<xml><a>&x;</a></xml>", BadXml::Forbidden),
            ("<xml><a><b>1</b></a></xml>", BadXml::Shape),
            ("<xml>text<a>1</a></xml>", BadXml::Shape),
            ("<xml a=\"1\"><a>1</a></xml>", BadXml::Shape),
            ("<html><a>1</a></html>", BadXml::Shape),
            ("<xml><a>1</a></xml><xml></xml>", BadXml::Shape),
            ("<xml><a>1</a><a>2</a></xml>", BadXml::Duplicate),
            ("<xml><a>1</b></xml>", BadXml::Malformed),
            ("<xml><a>1</a>", BadXml::Malformed),
            ("", BadXml::Malformed),
        ];
        for (text, why) in table {
            assert_eq!(parse(text), Err(why), "{text}");
        }
        let many: String = (0..=MAX_FIELDS)
            .map(|n| format!("<f{n}>1</f{n}>"))
            .collect();
        assert_eq!(parse(&format!("<xml>{many}</xml>")), Err(BadXml::TooLarge));
        let large = format!("<xml><a>{}</a></xml>", "x".repeat(MAX_BYTES));
        assert_eq!(parse(&large), Err(BadXml::TooLarge));
        assert_eq!(
            Fields::parse(b"<xml><a>\xff</a></xml>", "xml"),
            Err(BadXml::Malformed)
        );
    }

    #[test]
    fn a_written_document_reads_back() {
        let fields = Fields::new()
            .with("a", "]]>")
            .with("b", " 中 & <")
            .with("c", "");
        assert_eq!(parse(&fields.to_xml()), Ok(fields));
    }
}
