//! A map of bounded size.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map of at most `MOST` entries: a new one takes the place of the oldest.
#[derive(Clone, Debug)]
pub struct Recent<K, V, const MOST: usize> {
    entries: HashMap<K, V>,
    oldest_first: VecDeque<K>,
}

impl<K, V, const MOST: usize> Default for Recent<K, V, MOST> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            oldest_first: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, V, const MOST: usize> Recent<K, V, MOST> {
    /// Adds an entry, or replaces the value of one.
    pub fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        self.oldest_first.push_back(key);
        if self.oldest_first.len() > MOST
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    /// The value of an entry.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut recent = Recent::<&str, u8, 2>::default();
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            recent.insert(key, value);
        }
        let seen = ["a", "b", "c"].map(|key| recent.get(key).copied());
        assert_eq!(seen, [None, Some(2), Some(4)]);
    }
}
