//! ADQL text and positions: what a form or an editor needs to write a query that every service takes (ADQL 2.0 and 2.1).

use crate::{Error, Result};

/// Reserved words of ADQL 2.1 (those of SQL-92 and its own), upper case, sorted.
pub const ADQL_KEYWORDS: &[&str] = &[
    "ABS",
    "ABSOLUTE",
    "ACOS",
    "ACTION",
    "ADD",
    "ALL",
    "ALLOCATE",
    "ALTER",
    "AND",
    "ANY",
    "ARE",
    "AREA",
    "AS",
    "ASC",
    "ASIN",
    "ASSERTION",
    "AT",
    "ATAN",
    "ATAN2",
    "AUTHORIZATION",
    "AVG",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BIT",
    "BIT_LENGTH",
    "BOTH",
    "BOX",
    "BY",
    "CASCADE",
    "CASCADED",
    "CASE",
    "CAST",
    "CATALOG",
    "CEILING",
    "CENTROID",
    "CHAR",
    "CHARACTER",
    "CHARACTER_LENGTH",
    "CHAR_LENGTH",
    "CHECK",
    "CIRCLE",
    "CLOSE",
    "COALESCE",
    "COLLATE",
    "COLLATION",
    "COLUMN",
    "COMMIT",
    "CONNECT",
    "CONNECTION",
    "CONSTRAINT",
    "CONSTRAINTS",
    "CONTAINS",
    "CONTINUE",
    "CONVERT",
    "COORD1",
    "COORD2",
    "COORDSYS",
    "CORRESPONDING",
    "COS",
    "COT",
    "COUNT",
    "CREATE",
    "CROSS",
    "CURRENT",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "CURSOR",
    "DATE",
    "DAY",
    "DEALLOCATE",
    "DECIMAL",
    "DECLARE",
    "DEFAULT",
    "DEFERRABLE",
    "DEFERRED",
    "DEGREES",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DESCRIPTOR",
    "DIAGNOSTICS",
    "DISCONNECT",
    "DISTANCE",
    "DISTINCT",
    "DOMAIN",
    "DOUBLE",
    "DROP",
    "ELSE",
    "END",
    "END-EXEC",
    "ESCAPE",
    "EXCEPT",
    "EXCEPTION",
    "EXEC",
    "EXECUTE",
    "EXISTS",
    "EXP",
    "EXTERNAL",
    "EXTRACT",
    "FALSE",
    "FETCH",
    "FIRST",
    "FLOAT",
    "FLOOR",
    "FOR",
    "FOREIGN",
    "FOUND",
    "FROM",
    "FULL",
    "GET",
    "GLOBAL",
    "GO",
    "GOTO",
    "GRANT",
    "GROUP",
    "HAVING",
    "HOUR",
    "IDENTITY",
    "ILIKE",
    "IMMEDIATE",
    "IN",
    "INDICATOR",
    "INITIALLY",
    "INNER",
    "INPUT",
    "INSENSITIVE",
    "INSERT",
    "INT",
    "INTEGER",
    "INTERSECT",
    "INTERSECTS",
    "INTERVAL",
    "INTO",
    "IN_UNIT",
    "IS",
    "ISOLATION",
    "JOIN",
    "KEY",
    "LANGUAGE",
    "LAST",
    "LEADING",
    "LEFT",
    "LEVEL",
    "LIKE",
    "LOCAL",
    "LOG",
    "LOG10",
    "LOWER",
    "MATCH",
    "MAX",
    "MIN",
    "MINUTE",
    "MOD",
    "MODULE",
    "MONTH",
    "NAMES",
    "NATIONAL",
    "NATURAL",
    "NCHAR",
    "NEXT",
    "NO",
    "NOT",
    "NULL",
    "NULLIF",
    "NUMERIC",
    "OCTET_LENGTH",
    "OF",
    "OFFSET",
    "ON",
    "ONLY",
    "OPEN",
    "OPTION",
    "OR",
    "ORDER",
    "OUTER",
    "OUTPUT",
    "OVERLAPS",
    "PAD",
    "PARTIAL",
    "PI",
    "POINT",
    "POLYGON",
    "POSITION",
    "POWER",
    "PRECISION",
    "PREPARE",
    "PRESERVE",
    "PRIMARY",
    "PRIOR",
    "PRIVILEGES",
    "PROCEDURE",
    "PUBLIC",
    "RADIANS",
    "RAND",
    "READ",
    "REAL",
    "REFERENCES",
    "REGION",
    "RELATIVE",
    "RESTRICT",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "ROUND",
    "ROWS",
    "SCHEMA",
    "SCROLL",
    "SECOND",
    "SECTION",
    "SELECT",
    "SESSION",
    "SESSION_USER",
    "SET",
    "SIN",
    "SIZE",
    "SMALLINT",
    "SOME",
    "SPACE",
    "SQL",
    "SQLCODE",
    "SQLERROR",
    "SQLSTATE",
    "SQRT",
    "SUBSTRING",
    "SUM",
    "SYSTEM_USER",
    "TABLE",
    "TAN",
    "TEMPORARY",
    "THEN",
    "TIME",
    "TIMESTAMP",
    "TIMEZONE_HOUR",
    "TIMEZONE_MINUTE",
    "TO",
    "TOP",
    "TRAILING",
    "TRANSACTION",
    "TRANSLATE",
    "TRANSLATION",
    "TRIM",
    "TRUE",
    "TRUNCATE",
    "UNION",
    "UNIQUE",
    "UNKNOWN",
    "UPDATE",
    "UPPER",
    "USAGE",
    "USER",
    "USING",
    "VALUE",
    "VALUES",
    "VARCHAR",
    "VARYING",
    "VIEW",
    "WHEN",
    "WHENEVER",
    "WHERE",
    "WITH",
    "WORK",
    "WRITE",
    "YEAR",
    "ZONE",
];

/// A search around a position, in the form that 2.0 services and index-driven back ends take; `ra_col` and `dec_col` are written
/// as they stand. All angles in degrees (ICRS).
pub fn adql_cone(table: &str, ra_col: &str, dec_col: &str, ra_deg: f64, dec_deg: f64, radius_deg: f64) -> String {
    format!(
        "SELECT *\nFROM {table}\nWHERE 1 = CONTAINS(POINT('ICRS', {ra_col}, {dec_col}), CIRCLE('ICRS', {ra_deg}, {dec_deg}, {radius_deg}))"
    )
}

/// Whether a name can stand in ADQL without quotes.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && ADQL_KEYWORDS.binary_search(&name.to_ascii_uppercase().as_str()).is_err()
}

/// A name as it must appear in a query: as it is if it is plain, dotted from plain parts or quoted already; else in double quotes.
pub fn quote_identifier(name: &str) -> String {
    let quoted = name.len() >= 2 && name.starts_with('"') && name.ends_with('"');
    let dotted = name.split('.').all(|p| is_plain(p) || (p.len() >= 2 && p.starts_with('"') && p.ends_with('"')));
    if quoted || dotted { name.into() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether a query is one SELECT without a set operation, join, group, order, limit or sub-query: what can be split by a condition more.
pub fn is_plain_select(adql: &str) -> bool {
    plain_but_top(adql) && adql.split_whitespace().nth(1).is_some_and(|w| !w.eq_ignore_ascii_case("TOP"))
}

fn plain_but_top(adql: &str) -> bool {
    let upper = adql.to_ascii_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    words.first() == Some(&"SELECT")
        && !["UNION", "EXCEPT", "INTERSECT", "GROUP", "HAVING", "ORDER", "OFFSET", "JOIN"].iter().any(|w| words.contains(w))
        && upper.matches("SELECT").count() == 1
}

/// An ADQL query with one condition more: the old query becomes a sub-query, so that whatever it
/// holds (ORDER BY, GROUP BY, TOP) cannot clash with the condition. A TOP of the old query is
/// taken out, since the condition must see all rows.
pub fn narrowed(adql: &str, condition: &str) -> String {
    let adql = adql.trim().trim_end_matches(';');
    let second = adql.split_whitespace().nth(1);
    let untopped = if second.is_some_and(|w| w.eq_ignore_ascii_case("TOP")) {
        let mut rest = adql.trim_start()["SELECT".len()..].trim_start()["TOP".len()..].trim_start();
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        format!("SELECT {rest}")
    } else {
        adql.to_owned()
    };
    if plain_but_top(adql) {
        let upper = untopped.to_ascii_uppercase();
        let at = upper.find("WHERE").filter(|i| upper[..*i].ends_with(char::is_whitespace));
        return match at {
            Some(i) => format!("{}\nWHERE ({})\n  AND ({condition})", untopped[..i].trim_end(), untopped[i + 5..].trim()),
            None => format!("{untopped}\nWHERE {condition}"),
        };
    }
    format!("SELECT *\nFROM ({untopped}) AS earlier\nWHERE {condition}")
}

/// Right ascension and declination in degrees from `10.68 41.27`, `00:42:44.3 +41:16:09`, `00h42m44s +41d16m09s` or
/// `00 42 44 +41 16 09` (the sexagesimal forms in hours and degrees). `None` if it is something else: a name, say.
pub fn parse_position(text: &str) -> Option<(f64, f64)> {
    let text = text.trim().replace('−', "-");
    let parts: Vec<&str> = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|p| !p.is_empty()).collect();
    let (ra, dec) = match parts.as_slice() {
        [ra, dec] => (angle(ra, true)?, angle(dec, false)?),
        [h, m, s, d, dm, ds] => {
            if [h, m, s, dm, ds].iter().any(|p| !p.starts_with(|c: char| c.is_ascii_digit())) {
                return None;
            }
            (angle(&format!("{h}:{m}:{s}"), true)?, angle(&format!("{d}:{dm}:{ds}"), false)?)
        }
        _ => return None,
    };
    ((0.0..=360.0).contains(&ra) && (-90.0..=90.0).contains(&dec)).then_some((ra % 360.0, dec))
}

fn angle(text: &str, is_ra: bool) -> Option<f64> {
    let text = text.trim();
    if let Ok(v) = text.trim_end_matches(['d', '°']).parse::<f64>() {
        return v.is_finite().then_some(v);
    }
    let (sign, body) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let hours = body.contains('h') || (is_ra && body.contains(':'));
    if !is_ra && hours {
        return None;
    }
    let pieces: Vec<&str> = body.split([':', 'h', 'd', 'm', 's', '°', '\'', '"', '′', '″']).filter(|p| !p.is_empty()).collect();
    if pieces.is_empty() || pieces.len() > 3 || !body.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut value = 0.0;
    for (i, piece) in pieces.iter().enumerate() {
        let v: f64 = piece.parse().ok()?;
        if !v.is_finite() || v < 0.0 || (i > 0 && v >= 60.0) || (i + 1 < pieces.len() && v.fract() != 0.0) {
            return None;
        }
        value += v / 60_f64.powi(i as i32);
    }
    Some(sign * value * if hours { 15.0 } else { 1.0 })
}

/// A radius in degrees from `0.2deg`, `12arcmin`, `30arcsec` (also `°`, `'`, `"`, `am`, `as`, `mas`, `rad`); a bare number is degrees.
///
/// # Errors
/// [`Error::Position`] when it is no positive angle up to 180°.
pub fn parse_radius(text: &str) -> Result<f64> {
    let trimmed = text.trim();
    let split = trimmed
        .char_indices()
        .find(|(i, c)| {
            !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-') || (matches!(c, 'e' | 'E') && exponent(&trimmed[*i..])))
        })
        .map_or(trimmed.len(), |(i, _)| i);
    let (number, unit) = trimmed.split_at(split);
    let wrong = || Error::Position(format!("'{text}' is no radius: write for example 0.2deg, 12arcmin or 30arcsec"));
    let value: f64 = number.parse().map_err(|_| wrong())?;
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "deg" | "d" | "degree" | "degrees" | "°" => 1.0,
        "arcmin" | "am" | "'" | "′" | "min" | "arcminutes" | "arcminute" => 1.0 / 60.0,
        "arcsec" | "as" | "\"" | "″" | "sec" | "arcseconds" | "arcsecond" => 1.0 / 3600.0,
        "mas" => 1.0 / 3.6e6,
        "rad" => 180.0 / std::f64::consts::PI,
        _ => return Err(wrong()),
    };
    let degrees = value * scale;
    if degrees > 0.0 && degrees <= 180.0 { Ok(degrees) } else { Err(wrong()) }
}

fn exponent(rest: &str) -> bool {
    let rest = &rest[1..];
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keywords_are_sorted() {
        assert!(ADQL_KEYWORDS.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn identifiers() {
        assert_eq!(quote_identifier("source_id"), "source_id");
        assert_eq!(quote_identifier("size"), "\"size\"");
        assert_eq!(quote_identifier("gaiadr3.gaia_source"), "gaiadr3.gaia_source");
        assert_eq!(quote_identifier("[3.6]"), "\"[3.6]\"");
        assert_eq!(quote_identifier("J/ApJ/706/83/ysos"), "\"J/ApJ/706/83/ysos\"");
        assert_eq!(quote_identifier("\"I/239/hip_main\""), "\"I/239/hip_main\"");
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn positions() {
        let close = |a: Option<(f64, f64)>, b: (f64, f64)| {
            let a = a.unwrap();
            assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9, "{a:?} {b:?}");
        };
        close(parse_position("10.68 41.27"), (10.68, 41.27));
        close(parse_position(" 10.68,-41.27 "), (10.68, -41.27));
        let m31 = (15.0 * (42.0 / 60.0 + 44.0 / 3600.0), 41.0 + 16.0 / 60.0 + 9.0 / 3600.0);
        close(parse_position("00:42:44 +41:16:09"), m31);
        close(parse_position("00h42m44s +41d16m09s"), m31);
        close(parse_position("00 42 44 +41 16 09"), m31);
        close(parse_position("00:42:44 -00:16:09"), (m31.0, -(16.0 / 60.0 + 9.0 / 3600.0)));
        close(parse_position("10.5d -3d30m"), (10.5, -3.5));
        for bad in [
            "M 31",
            "NGC 4151",
            "10.68",
            "400 10",
            "10 95",
            "25:00:00 +10:00:00",
            "1 2 3",
            "a b",
            "",
            "10:70:00 +1:00:00",
            "nan 3",
            "1h 2h",
        ] {
            assert!(parse_position(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn radii() {
        assert_eq!(parse_radius("0.2deg").unwrap(), 0.2);
        assert_eq!(parse_radius("12arcmin").unwrap(), 0.2);
        assert_eq!(parse_radius("36 arcsec").unwrap(), 0.01);
        assert_eq!(parse_radius("0.5").unwrap(), 0.5);
        assert_eq!(parse_radius("1e-2").unwrap(), 0.01);
        assert_eq!(parse_radius("30\"").unwrap(), 30.0 / 3600.0);
        for bad in ["", "deg", "-1deg", "0", "5 parsec", "200deg", "nan", "1e"] {
            assert!(parse_radius(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cone_in_adql() {
        assert_eq!(
            adql_cone("dbo.catalogrecord", "ra", "dec", 23.34086, 60.658, 0.002),
            "SELECT *\nFROM dbo.catalogrecord\nWHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 23.34086, 60.658, 0.002))"
        );
    }
}
