//! Numbers and units as a person reads them.

/// A number with so many significant digits, a true minus sign, and powers of ten where it is very
/// large or small.
pub fn number(v: f64, digits: usize) -> String {
    if v.is_nan() {
        return String::new();
    }
    if v == 0.0 {
        return "0".into();
    }
    let digits = digits.max(1);
    let size = v.abs().log10().floor();
    let text = if (-5.0..7.0).contains(&size) {
        let decimals = (digits as f64 - 1.0 - size).max(0.0) as usize;
        trim(format!("{v:.decimals$}"))
    } else if v.is_finite() {
        let text = format!("{v:.*e}", digits - 1);
        match text.split_once('e') {
            Some((mantissa, power)) => format!("{}e{power}", trim(mantissa.into())),
            None => text,
        }
    } else {
        format!("{v}")
    };
    minus(&text)
}

/// A number of bytes in MB or GB (powers of ten), with two digits.
pub fn bytes(n: u64) -> String {
    let mega = n as f64 / 1e6;
    if mega >= 1000.0 { format!("{} GB", number(mega / 1e3, 2)) } else { format!("{} MB", number(mega.max(0.1), 2)) }
}

fn trim(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// U+2212 in the place of a hyphen in front of a number.
pub fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// A short time: `4 s`, `2 min 5 s`.
pub fn seconds(s: f64) -> String {
    if s < 0.1 {
        format!("{:.0} ms", s * 1e3)
    } else if s < 10.0 {
        format!("{s:.1} s")
    } else if s < 90.0 {
        format!("{s:.0} s")
    } else {
        format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0)
    }
}

/// A number with the digits that matter.
pub fn figure(v: f64) -> String {
    if v == 0.0 {
        "0".into()
    } else if v.abs() >= 1e5 || v.abs() < 1e-3 {
        format!("{v:.2e}")
    } else if v.abs() >= 100.0 {
        format!("{v:.1}")
    } else {
        format!("{v:.3}")
    }
}

pub use asterism_session::words::{count, rows};

/// A unit in the way it is printed: `Angstrom` → `Å`, `10**-20 erg/s/cm**2` with raised powers.
pub fn unit(text: &str) -> String {
    let text = text.trim();
    match text {
        "Angstrom" | "angstrom" | "Angstroms" | "AA" => return "Å".into(),
        "micron" | "um" | "micrometer" => return "µm".into(),
        _ => {}
    }
    let text = text.replace("Angstrom", "Å").replace("angstrom", "Å").replace("**", "^");
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let next_is_digit = chars.peek().is_some_and(char::is_ascii_digit);
        let raised = match c {
            '^' => {
                let wrapped = chars.peek() == Some(&'(');
                if wrapped {
                    chars.next();
                }
                while let Some(d) = chars.peek().copied().filter(|d| d.is_ascii_digit() || matches!(d, '-' | '+')) {
                    out.push(superscript(d));
                    chars.next();
                }
                if wrapped && chars.peek() == Some(&')') {
                    chars.next();
                }
                before = ' ';
                continue;
            }
            // `10-20`, `cm-2`, `cm2`: a sign between a letter or digit and a digit is a power.
            '-' if before.is_alphanumeric() && next_is_digit => true,
            d if d.is_ascii_digit() && before.is_alphabetic() => true,
            _ => false,
        };
        if raised {
            out.push(superscript(c));
            while let Some(d) = chars.peek().copied().filter(char::is_ascii_digit) {
                out.push(superscript(d));
                chars.next();
            }
            before = ' ';
            continue;
        }
        out.push(c);
        before = c;
    }
    out
}

pub(super) fn superscript(c: char) -> char {
    match c {
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        '-' => '⁻',
        '+' => '⁺',
        other => other,
    }
}

/// Right ascension and declination, degrees, as `04 13 25.30 +10 27 56.2`.
pub fn sexagesimal(ra_deg: f64, dec_deg: f64) -> String {
    // Rounded at the last digit first, so that no field ever shows 60.
    let hundredths = (ra_deg.rem_euclid(360.0) / 15.0 * 360_000.0).round() as u64 % 8_640_000;
    let (h, m, s) = (hundredths / 360_000, hundredths / 6_000 % 60, hundredths % 6_000);
    let tenths = (dec_deg.abs() * 36_000.0).round() as u64;
    let (d, dm, ds) = (tenths / 36_000, tenths / 600 % 60, tenths % 600);
    let sign = if dec_deg < 0.0 { '\u{2212}' } else { '+' };
    format!("{h:02} {m:02} {:02}.{:02} {sign}{d:02} {dm:02} {:02}.{}", s / 100, s % 100, ds / 10, ds % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(number(63.3554, 6), "63.3554");
        assert_eq!(number(-4.08, 3), "−4.08");
        assert_eq!(number(1234567.0, 4), "1234567");
        assert_eq!(number(1.5e-9, 3), "1.5e−9");
        assert_eq!(number(f64::NAN, 3), "");
        assert_eq!(count(1_379), "1,379");
        assert_eq!(count(399_679), "399,679");
        assert_eq!(rows(1), "1 row");
    }

    #[test]
    fn sexagesimal_never_shows_sixty() {
        assert_eq!(sexagesimal(63.3554167, 10.4656111), "04 13 25.30 +10 27 56.2");
        assert_eq!(sexagesimal(359.9999999, -0.0000001), "00 00 00.00 −00 00 00.0");
        assert_eq!(sexagesimal(0.0, 9.999999999), "00 00 00.00 +10 00 00.0");
    }

    #[test]
    fn units_are_printed_with_raised_powers() {
        assert_eq!(unit("Angstrom"), "Å");
        assert_eq!(unit("10**-20 erg/s/cm**2/Angstrom"), "10⁻²⁰ erg/s/cm²/Å");
        assert_eq!(unit("10-20 erg s-1 cm-2"), "10⁻²⁰ erg s⁻¹ cm⁻²");
        assert_eq!(unit("km/s"), "km/s");
    }
}
