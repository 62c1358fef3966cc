//! A map that forgets its oldest entries: the simulator's memory stays bounded under any load.

use std::collections::{BTreeMap, VecDeque};

/// Up to `capacity` values by name; the oldest leaves when one more comes.
pub(super) struct Shelf<V> {
    values: BTreeMap<String, V>,
    oldest_first: VecDeque<String>,
    capacity: usize,
}

impl<V> Shelf<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            values: BTreeMap::new(),
            oldest_first: VecDeque::new(),
            capacity: capacity.max(1),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.values.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.values.get_mut(name)
    }

    /// Puts a value in place; one that replaces another keeps the other's age.
    pub(super) fn put(&mut self, name: String, value: V) {
        if self.values.insert(name.clone(), value).is_some() {
            return;
        }
        self.oldest_first.push_back(name);
        if self.oldest_first.len() > self.capacity
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    /// The values, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &V> {
        self.oldest_first
            .iter()
            .rev()
            .filter_map(|name| self.values.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shelf_forgets_its_oldest_and_only_that() {
        let mut shelf = Shelf::new(2);
        for (name, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            shelf.put(name.to_owned(), value);
        }
        assert_eq!(shelf.get("a"), None);
        assert_eq!(shelf.get("b"), Some(&2));
        assert_eq!(shelf.newest_first().copied().collect::<Vec<_>>(), [4, 2]);
    }
}
