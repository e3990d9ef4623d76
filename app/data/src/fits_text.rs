//! Text beyond ASCII in FITS tables, which may hold ASCII alone (FITS 4.0, 7.3.3.1: characters 32 to 126).
//!
//! A column with other characters is written with each of them as `\uXXXX` (or `\UXXXXXXXX` beyond 16 bits; a backslash doubled), as
//! Python's `unicode_escape` reads them, and a card `TUNICn = T` says so. The reader turns such a column back, so nothing is lost
//! here, and every other program gets a valid file and a text that can be understood. Choices not taken: UTF-8 as it is, which
//! CFITSIO's fitsverify calls an error; question marks, which lose names. Who writes is told: [`crate::write::notes`].

use polars::prelude::*;

use crate::Result;

/// Keyword of the card, to which the column's number is added.
pub(crate) const KEY: &str = "TUNIC";

fn plain(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// Whether a column (of text, or of lists of text) has cells that ASCII cannot hold.
pub(crate) fn beyond_ascii(column: &Column) -> Result<bool> {
    Ok(match column.dtype() {
        DataType::String => !column.str()?.iter().flatten().all(plain),
        DataType::List(inner) if **inner == DataType::String => !column.list()?.get_inner().str()?.iter().flatten().all(plain),
        _ => false,
    })
}

/// The text in ASCII.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out
}

/// The text that [`escaped`] was given; what is no escape stays.
pub(crate) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let code = |n: usize| {
            let digits = after.get(1..=n).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        };
        let (found, used) = match after.as_bytes().first() {
            Some(b'\\') => (Some('\\'), 1),
            Some(b'u') => (code(4), 5),
            Some(b'U') => (code(8), 9),
            _ => (None, 0),
        };
        out.push(found.unwrap_or('\\'));
        rest = if found.is_some() { &after[used..] } else { after };
    }
    out.push_str(rest);
    out
}

/// Keyword of the card that holds a column's own name where TTYPE cannot, to which the column's number is added.
pub(crate) const NAME_KEY: &str = "TUNAM";
/// Characters that CFITSIO and astropy read of a name: more need CONTINUE, which they refuse in TTYPE.
const NAME_LENGTH: usize = 68;

/// Names of columns as TTYPE can hold them, in ASCII, of a bounded length and different without regard to case; Greek letters are spelled.
pub(crate) fn names(names: &[&str]) -> Vec<String> {
    const GREEK: [&str; 25] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
        "omicron", "pi", "rho", "sigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    ];
    let letter = |c: char| -> String {
        match c {
            ' '..='~' => c.to_string(),
            'µ' => "mu".into(),
            'Å' => "A".into(),
            '°' => "deg".into(),
            'α'..='ω' => GREEK[c as usize - 'α' as usize].into(),
            'Α'..='Ω' => {
                let small = GREEK[c as usize - 'Α' as usize];
                small[..1].to_ascii_uppercase() + &small[1..]
            }
            '²' => "2".into(),
            '³' => "3".into(),
            _ => "_".into(),
        }
    };
    let cut = |text: &str, length: usize| -> String {
        let mut used = 0;
        // An apostrophe stands doubled in the card.
        text.chars()
            .take_while(|c| {
                used += if *c == '\'' { 2 } else { 1 };
                used <= length
            })
            .collect()
    };
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    let ascii: Vec<String> = names.iter().map(|n| cut(&n.chars().map(letter).collect::<String>(), NAME_LENGTH)).collect();
    // A name that stands as it is keeps it.
    let kept: std::collections::HashSet<&str> = names.iter().zip(&ascii).filter(|(n, a)| *n == a).map(|(n, _)| *n).collect();
    let mut out = Vec::with_capacity(names.len());
    for (name, ascii) in names.iter().zip(&ascii) {
        let mut fresh = ascii.clone();
        let mut k = 2;
        while fresh != *name && (seen.contains(&fresh.to_ascii_lowercase()) || kept.contains(fresh.as_str())) {
            fresh = format!("{}_{k}", cut(ascii, NAME_LENGTH - 6));
            k += 1;
        }
        seen.insert(fresh.to_ascii_lowercase());
        out.push(fresh);
    }
    out
}

/// A column of text (or of lists of text) with each text changed.
pub(crate) fn changed(column: &Column, change: fn(&str) -> String) -> Result<Column> {
    let of = |texts: &StringChunked| -> StringChunked { texts.iter().map(|t| t.map(change)).collect() };
    let name = column.name().clone();
    if !column.dtype().is_list() {
        return Ok(of(column.str()?).with_name(name).into_column());
    }
    let lists = column.list()?;
    let mut out = ListStringChunkedBuilder::new(name, lists.len(), 8);
    for i in 0..lists.len() {
        match lists.get_as_series(i) {
            Some(cell) => out.append_series(&of(cell.str()?).into_series())?,
            None => out.append_null(),
        }
    }
    Ok(out.finish().into_column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_in_a_card() {
        let long = "a_very_long_name_that_goes_on_and_on_beyond_what_any_card_of_eighty_characters_holds";
        let other = format!("{long}_too");
        assert_eq!(names(&["α", "Δm", "flux", "é", "è", "_"]), ["alpha", "Deltam", "flux", "__2", "__3", "_"]);
        assert_eq!(names(&["ra", "RA"]), ["ra", "RA"]);
        let cut = names(&[long, &other]);
        assert!(cut[0] == long[..68] && cut[1].len() <= 68 && cut[1].ends_with("_2"), "{cut:?}");
        assert_eq!(names(&[&"'".repeat(40)])[0].len(), 34);
    }

    #[test]
    fn escapes_turn_back() {
        for text in ["", "plain", "\u{3b1} Cen", "a\\b \\u00c5", "\u{1d6fc}\u{e9}\n", "10 \u{b5}Jy\\"] {
            let there = escaped(text);
            assert!(plain(&there), "{there}");
            assert_eq!(unescaped(&there), text);
        }
        assert_eq!(escaped("\u{e9}\u{1d6fc}"), "\\u00e9\\U0001d6fc");
        // What another program wrote is no escape.
        for text in ["\\", "\\u12", "\\uD800", "\\Uffffffff", "\\n", "\\u+123"] {
            assert_eq!(unescaped(text), text);
        }
    }
}
