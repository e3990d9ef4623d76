//! A set of rows as a bitmap: one bit a row, 125 kB for a million rows.
//!
//! Set algebra works a word (64 rows) at a time. A roaring bitmap was not taken: selections here
//! are dense in row order often enough, and a flat bitmap can be handed to the renderer as it is.

/// A set of row indices below [`RowSet::len`].
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct RowSet {
    len: usize,
    words: Vec<u64>,
}

impl RowSet {
    /// No row of `len`.
    pub fn empty(len: usize) -> Self {
        Self { len, words: vec![0; len.div_ceil(64)] }
    }
    /// Every row of `len`.
    pub fn full(len: usize) -> Self {
        let mut s = Self { len, words: vec![u64::MAX; len.div_ceil(64)] };
        s.trim();
        s
    }
    /// Rows for which `keep` is true.
    pub fn from_fn(len: usize, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut s = Self::empty(len);
        for row in 0..len {
            if keep(row) {
                s.insert(row);
            }
        }
        s
    }
    /// The rows named; those at or past `len` are left out.
    pub fn from_rows(len: usize, rows: impl IntoIterator<Item = usize>) -> Self {
        let mut s = Self::empty(len);
        for row in rows {
            s.insert(row);
        }
        s
    }
    fn trim(&mut self) {
        let tail = self.len % 64;
        if tail != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1u64 << tail) - 1;
        }
    }
    /// How many rows the set is drawn from.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True when no row is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }
    /// How many rows are in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }
    /// Whether `row` is in the set.
    pub fn contains(&self, row: usize) -> bool {
        row < self.len && self.words[row / 64] >> (row % 64) & 1 == 1
    }
    /// Put `row` in; out of range does nothing.
    pub fn insert(&mut self, row: usize) {
        if row < self.len {
            self.words[row / 64] |= 1 << (row % 64);
        }
    }
    /// Take `row` out.
    pub fn remove(&mut self, row: usize) {
        if row < self.len {
            self.words[row / 64] &= !(1 << (row % 64));
        }
    }
    /// The same rows in a table that has grown (or shrunk) to `len`.
    pub fn resized(&self, len: usize) -> Self {
        let mut s = self.clone();
        s.len = len;
        s.words.resize(len.div_ceil(64), 0);
        s.trim();
        s
    }
    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let len = self.len.max(other.len);
        let word = |s: &Self, i: usize| s.words.get(i).copied().unwrap_or(0);
        let mut s = Self { len, words: (0..len.div_ceil(64)).map(|i| f(word(self, i), word(other, i))).collect() };
        s.trim();
        s
    }
    /// Rows in both.
    pub fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }
    /// Rows in either.
    pub fn or(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }
    /// Rows in one but not both.
    pub fn xor(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a ^ b)
    }
    /// Rows of `self` that are not in `other`.
    pub fn and_not(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }
    /// Rows that are not in the set.
    pub fn not(&self) -> Self {
        Self::full(self.len).and_not(self)
    }
    /// The rows in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, w)| {
            let mut w = *w;
            std::iter::from_fn(move || {
                if w == 0 {
                    return None;
                }
                let bit = w.trailing_zeros() as usize;
                w &= w - 1;
                Some(i * 64 + bit)
            })
        })
    }
    /// The bitmap: bit `row % 64` of word `row / 64`.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algebra_agrees_with_sets() {
        let a = RowSet::from_rows(130, [0, 63, 64, 129]);
        let b = RowSet::from_rows(130, [63, 100]);
        assert_eq!(a.and(&b).iter().collect::<Vec<_>>(), [63]);
        assert_eq!(a.or(&b).count(), 5);
        assert_eq!(a.xor(&b).iter().collect::<Vec<_>>(), [0, 64, 100, 129]);
        assert_eq!(a.and_not(&b).count(), 3);
        assert_eq!(a.not().count(), 126);
        assert!(!RowSet::full(130).contains(130));
    }

    #[test]
    fn growing_keeps_rows_and_adds_none() {
        let a = RowSet::full(70).resized(200);
        assert_eq!(a.count(), 70);
        assert_eq!(a.resized(10).count(), 10);
    }
}
