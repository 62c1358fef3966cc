//! Reads what `/metrics` tells, and believes nothing that OpenMetrics does not allow.
//!
//! Source: OpenMetrics 1.0 · Text format.

use std::collections::{BTreeMap, BTreeSet};

/// Everything told, by family and by series.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// The kind of each family.
    pub(crate) families: BTreeMap<String, String>,
    /// The value of each series, under its name and sorted labels.
    series: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

impl Exposition {
    /// Reads `text`.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let mut read = Self::default();
        let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
        let (mut family, mut helped) = (String::new(), BTreeSet::new());
        for line in body.lines() {
            match line.strip_prefix("# ") {
                Some(told) => {
                    let mut words = told.splitn(3, ' ');
                    let (word, name) = (words.next().unwrap(), words.next().unwrap());
                    let rest = words.next().unwrap();
                    is_name(name);
                    match word {
                        "HELP" => assert!(helped.insert(name.to_owned()), "twice: {line}"),
                        "TYPE" => {
                            family = name.to_owned();
                            let before = read.families.insert(family.clone(), rest.to_owned());
                            assert_eq!(before, None, "twice: {line}");
                        }
                        _ => panic!("{line}"),
                    }
                }
                None => read.sample(&family, line),
            }
        }
        for family in read.families.keys() {
            assert!(helped.contains(family), "{family} has no help");
        }
        read.histograms_add_up();
        read
    }

    #[track_caller]
    fn sample(&mut self, family: &str, line: &str) {
        let at = line.find(['{', ' ']).expect("a name and a value");
        let (name, rest) = line.split_at(at);
        let (labels, value) = match rest.strip_prefix('{') {
            None => (BTreeMap::new(), rest),
            Some(inner) => read_labels(inner),
        };
        let value: f64 = value.strip_prefix(' ').unwrap().parse().expect(line);
        let kind = self
            .families
            .get(family)
            .expect("a type before its samples");
        let suffix = name.strip_prefix(family).expect(line);
        let allowed: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{other}: {line}"),
        };
        assert!(allowed.contains(&suffix), "{kind}: {line}");
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        let before = self.series.insert((name.to_owned(), labels), value);
        assert_eq!(before, None, "twice: {line}");
    }

    /// Buckets never fall, and the last holds all.
    fn histograms_add_up(&self) {
        let mut whole: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &self.series {
            let Some(family) = name.strip_suffix("_bucket") else {
                continue;
            };
            let mut labels = labels.clone();
            let le = labels.remove("le").expect("a bucket has its end");
            let le = le.parse().unwrap_or(f64::INFINITY);
            let place = whole.entry((family.to_owned(), labels)).or_default();
            place.push((le, *value));
        }
        for ((family, labels), mut buckets) in whole {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                buckets.windows(2).all(|two| two[0].1 <= two[1].1),
                "{family}"
            );
            let (end, all) = *buckets.last().unwrap();
            assert_eq!(end, f64::INFINITY, "{family}");
            let count = self.series.get(&(format!("{family}_count"), labels));
            assert_eq!(count, Some(&all), "{family}");
        }
    }

    /// The sum of all series of this name that carry these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |known: &BTreeMap<String, String>| {
            let mut wanted = labels.iter();
            wanted.all(|(key, value)| known.get(*key).is_some_and(|text| text == value))
        };
        let found = self
            .series
            .iter()
            .filter(|((known, labels), _)| known == name && fits(labels));
        found.map(|(_, value)| value).sum()
    }

    /// Every value of every label.
    pub(crate) fn label_values(&self) -> BTreeSet<&str> {
        let labels = self.series.keys().flat_map(|(_, labels)| labels.values());
        labels.map(String::as_str).collect()
    }
}

fn is_name(name: &str) {
    let rest = name.strip_prefix("zhanggui_").expect(name);
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    assert!(!rest.is_empty() && rest.bytes().all(good), "{name}");
}

/// `key="value",…} rest`, the opening brace already taken.
#[track_caller]
fn read_labels(mut inner: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (key, after) = inner.split_once("=\"").expect(inner);
        let (value, after) = after.split_once('"').expect(inner);
        assert!(
            !value.contains(['\\', '\n']),
            "none of ours needs escaping: {inner}"
        );
        let before = labels.insert(key.to_owned(), value.to_owned());
        assert_eq!(before, None, "{key} twice");
        match after.split_at(1) {
            (",", more) => inner = more,
            ("}", rest) => return (labels, rest),
            _ => panic!("{inner}"),
        }
    }
}
