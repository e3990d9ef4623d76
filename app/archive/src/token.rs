//! The token of a MAST account, which no text ever shows.
//!
//! It is made by the user on `auth.mast.stsci.edu/token`, goes to MAST over https in the header `Authorization: token …` and nowhere
//! else (`http`), and is neither a setting nor part of a session, so that no file of the program holds it. `Debug` and `Display`
//! write three dots. It dies after ten days unused and sixty days in any case; `/whoami` tells whose it is.

use reqwest::header::HeaderValue;

/// A secret. It can be compared and sent, and not be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as it was copied from the page: blanks around it are dropped.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] when the text is empty or holds what no header can carry; the text is not in the message.
    pub fn new(text: &str) -> crate::Result<Self> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(crate::Error::Unsupported {
                service: "MAST".into(),
                what: "this is no token (letters and digits without blanks); make one on https://auth.mast.stsci.edu/token"
                    .into(),
            });
        }
        Ok(Self(text.into()))
    }

    /// The one of `MAST_API_TOKEN`.
    pub fn from_environment() -> Option<Self> {
        std::env::var("MAST_API_TOKEN").ok().and_then(|t| Self::new(&t).ok())
    }

    /// For the keyring alone.
    #[cfg(any(target_os = "linux", target_os = "macos", windows))]
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("token {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl crate::Client {
    /// Whose token is in use, as MAST says it (`/whoami`); `None` for a token that MAST does not know, or none.
    ///
    /// # Errors
    /// As [`crate::Client::search`].
    pub fn whoami(&self, cancelled: &dyn Fn() -> bool) -> crate::Result<Option<String>> {
        let url = format!("{}/whoami", self.services().mast.trim_end_matches('/'));
        let (answer, service, bytes) = self.small_json(&url, cancelled)?;
        match answer["anon"].as_bool() {
            Some(true) => Ok(None),
            Some(false) => {
                let name = ["display_name", "email", "eppn"].iter().find_map(|key| answer["attrib"][*key].as_str());
                Ok(Some(name.unwrap_or("a MAST account").to_owned()))
            }
            None => Err(crate::Error::not_a_table(&service, crate::text::describe_other(&bytes))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_shown_by_nothing() {
        let secret = "0123456789abcdef0123456789abcdef";
        let token = Token::new(&format!(" {secret}\n")).unwrap();
        let client = crate::Client::new(crate::Services::default()).unwrap();
        client.set_token(Some(token.clone()));
        assert!(client.has_token());
        let settings = serde_json::to_string(client.services()).unwrap();
        let wrong = Token::new(&format!("{secret} {secret}")).unwrap_err();
        for text in [
            format!("{token:?} {token} {:?}", token.header()),
            format!("{client:?}"),
            format!("{:?}", client.services()),
            settings,
            format!("{wrong} {wrong:?}"),
        ] {
            assert!(!text.contains(&secret[..8]), "{text}");
        }
        client.set_token(None);
        assert!(!client.has_token());
        assert!(Token::new("  ").is_err());
    }
}
