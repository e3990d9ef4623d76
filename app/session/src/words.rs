//! Numbers in sentences, the same way in messages of the session and in the window.

/// A count in groups of three: `12,345`.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// `1 row`, `2 rows`, `12,345 rows`.
pub fn rows(n: usize) -> String {
    if n == 1 { "1 row".into() } else { format!("{} rows", count(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_at_a_glance() {
        assert_eq!([0, 7, 999, 1000, 12_345, 1_234_567].map(count), ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!([0, 1, 2, 20_000].map(rows), ["0 rows", "1 row", "2 rows", "20,000 rows"]);
    }
}
