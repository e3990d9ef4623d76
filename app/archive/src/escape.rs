//! Percent-encoding (RFC 3986, 2.1) taken back.

/// The bytes that a text with `%XX` stands for; what is no such triple stays as it is. In forms and queries a plus is a blank.
pub fn percent_decode(text: &str, plus_is_blank: bool) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).filter(|h| h.iter().all(u8::is_ascii_hexdigit));
        let value = hex.and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match (bytes[i], value) {
            (b'%', Some(value)) => {
                out.push(value);
                i += 2;
            }
            (b'+', _) if plus_is_blank => out.push(b' '),
            (b, _) => out.push(b),
        }
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_back() {
        assert_eq!(percent_decode("M%2031+%28%C3%BC%29", false), "M 31+(ü)".as_bytes());
        assert_eq!(percent_decode("a+b%2B%", true), b"a b+%");
        assert_eq!(percent_decode("%+1%zz%4", false), b"%+1%zz%4", "a sign is no digit");
    }
}
