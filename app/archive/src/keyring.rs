//! The token of a MAST account in the keyring of the desktop.
//!
//! On Linux this is the Secret Service (GNOME Keyring, KWallet, KeePassXC) over the session's message bus: the token is one item
//! with the attributes `service = asterism` and `account = mast`, in the collection that the person unlocks by signing in. A keyring
//! that is locked asks for its password in its own window. The session uses the algorithm `plain`: the bus is a socket that only
//! this user can read, and whoever can read it can ask the keyring as well; the exchange of keys (`dh-ietf1024-sha256-aes128-cbc-
//! pkcs7`) would guard against nobody. On macOS it is the login keychain and on Windows the credential manager, by the crate `keyring`,
//! which Linux does without since its features would reach packages that are shared with the window. Elsewhere the token is read
//! from `MAST_API_TOKEN`. The choice not taken is a file of our own: it would lie in backups as plain text.
//!
//! Cost: some messages on a local socket; a password that a person must type is waited for, two minutes at most.
//!
//! Standard: freedesktop.org Secret Service API 0.2.

use crate::{Error, Result, Token};

/// What the keyring's own programs show for the item.
#[cfg(target_os = "linux")]
const LABEL: &str = "MAST token (Asterism)";

#[cfg(any(target_os = "linux", target_os = "macos", windows))]
fn failed(what: impl std::fmt::Display) -> Error {
    Error::Unsupported {
        service: "The keyring of this desktop".into(),
        what: format!("{what}; a token can also be given in the environment, as MAST_API_TOKEN"),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn nowhere() -> Error {
    Error::Unsupported {
        service: "Asterism".into(),
        what: "on this system a token is read from the environment variable MAST_API_TOKEN and kept nowhere".into(),
    }
}

/// Whether this system has a keyring that this program can use.
pub const fn supported() -> bool {
    cfg!(any(target_os = "linux", target_os = "macos", windows))
}

/// The token that is kept; `None` when none is.
///
/// # Errors
/// [`Error::Unsupported`] when there is no keyring, or it stays locked.
pub fn load() -> Result<Option<Token>> {
    #[cfg(target_os = "linux")]
    return bus::run(bus::load());
    #[cfg(any(target_os = "macos", windows))]
    return store::load().map_err(failed);
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    Ok(None)
}

/// Keep the token, in the place of one that was kept before.
///
/// # Errors
/// As [`load`].
pub fn save(token: &Token) -> Result<()> {
    #[cfg(target_os = "linux")]
    return bus::run(bus::save(token.secret()));
    #[cfg(any(target_os = "macos", windows))]
    return store::save(token.secret()).map_err(failed);
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    {
        let _ = token;
        Err(nowhere())
    }
}

/// Forget it. Nothing happens when none is kept.
///
/// # Errors
/// As [`load`].
pub fn forget() -> Result<()> {
    #[cfg(target_os = "linux")]
    return bus::run(bus::forget());
    #[cfg(any(target_os = "macos", windows))]
    return store::forget().map_err(failed);
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    Err(nowhere())
}

/// The login keychain, or the credential manager.
#[cfg(any(target_os = "macos", windows))]
mod store {
    use ::keyring::{Entry, Error, Result};

    use crate::Token;

    fn entry() -> Result<Entry> {
        Entry::new("asterism", "mast")
    }

    pub(super) fn load() -> Result<Option<Token>> {
        match entry()?.get_password() {
            Ok(text) => Ok(Token::new(&text).ok()),
            Err(Error::NoEntry) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) fn save(secret: &str) -> Result<()> {
        entry()?.set_password(secret)
    }

    pub(super) fn forget() -> Result<()> {
        match entry()?.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            other => other,
        }
    }
}

#[cfg(target_os = "linux")]
mod bus {
    use std::collections::HashMap;
    use std::time::Duration;

    use zbus::export::ordered_stream::OrderedStreamExt;
    use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};
    use zbus::{Connection, Proxy};

    use super::{LABEL, failed};
    use crate::{Error, Result, Token};

    const NAME: &str = "org.freedesktop.secrets";
    const PATH: &str = "/org/freedesktop/secrets";
    const SERVICE: &str = "org.freedesktop.Secret.Service";
    const COLLECTION: &str = "org.freedesktop.Secret.Collection";
    const ITEM: &str = "org.freedesktop.Secret.Item";
    const PROMPT: &str = "org.freedesktop.Secret.Prompt";
    /// A person who types a password.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// Session, parameters, value, media type.
    type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

    fn attributes() -> HashMap<&'static str, &'static str> {
        HashMap::from([("service", "asterism"), ("account", "mast")])
    }

    pub(super) fn run<T>(work: impl Future<Output = zbus::Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, work).await {
                Ok(Ok(value)) => Ok(value),
                // The text of an error of the bus names interfaces and paths, never a value.
                Ok(Err(e)) => Err(failed(e)),
                Err(_) => Err(Error::Timeout { service: "The keyring of this desktop".into(), seconds: PATIENCE.as_secs_f64() }),
            }
        })
    }

    async fn proxy<'a>(bus: &Connection, path: &'a str, interface: &'static str) -> zbus::Result<Proxy<'a>> {
        Proxy::new(bus, NAME, path, interface).await
    }

    struct Keyring {
        bus: Connection,
        service: Proxy<'static>,
        session: OwnedObjectPath,
    }

    async fn open() -> zbus::Result<Keyring> {
        let bus = Connection::session().await?;
        let service = proxy(&bus, PATH, SERVICE).await?;
        let (_, session): (OwnedValue, OwnedObjectPath) = service.call("OpenSession", &("plain", Value::from(""))).await?;
        Ok(Keyring { bus, service, session })
    }

    impl Keyring {
        /// Lets the keyring ask the person, and waits for the end of that. `/` stands for nothing to ask.
        async fn prompt(&self, path: &OwnedObjectPath) -> zbus::Result<()> {
            if path.as_str() == "/" {
                return Ok(());
            }
            let prompt = proxy(&self.bus, path.as_str(), PROMPT).await?;
            let mut ends = prompt.receive_signal("Completed").await?;
            let () = prompt.call("Prompt", &("",)).await?;
            let Some(end) = ends.next().await else { return Err(zbus::Error::Failure("the keyring went away".into())) };
            let (dismissed, _): (bool, OwnedValue) = end.body().deserialize()?;
            if dismissed { Err(zbus::Error::Failure("the keyring was not unlocked".into())) } else { Ok(()) }
        }

        async fn unlock(&self, objects: &[OwnedObjectPath]) -> zbus::Result<()> {
            let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) = self.service.call("Unlock", &(objects,)).await?;
            self.prompt(&prompt).await
        }

        /// Our items, unlocked.
        async fn items(&self) -> zbus::Result<Vec<OwnedObjectPath>> {
            let (mut open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
                self.service.call("SearchItems", &(attributes(),)).await?;
            if open.is_empty() && !locked.is_empty() {
                self.unlock(&locked).await?;
                open = locked;
            }
            Ok(open)
        }
    }

    pub(super) async fn load() -> zbus::Result<Option<Token>> {
        let keyring = open().await?;
        let Some(item) = keyring.items().await?.into_iter().next() else { return Ok(None) };
        let item = proxy(&keyring.bus, item.as_str(), ITEM).await?;
        let (_, _, value, _): Secret = item.call("GetSecret", &(&keyring.session,)).await?;
        Ok(std::str::from_utf8(&value).ok().and_then(|text| Token::new(text).ok()))
    }

    pub(super) async fn save(secret: &str) -> zbus::Result<()> {
        let keyring = open().await?;
        let mut collection: OwnedObjectPath = keyring.service.call("ReadAlias", &("default",)).await?;
        if collection.as_str() == "/" {
            // A desktop that nobody signed in to has the collection of this session, if any.
            collection = keyring.service.call("ReadAlias", &("session",)).await?;
        }
        if collection.as_str() == "/" {
            return Err(zbus::Error::Failure("it has no collection to keep a secret in".into()));
        }
        keyring.unlock(std::slice::from_ref(&collection)).await?;
        let at = proxy(&keyring.bus, collection.as_str(), COLLECTION).await?;
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Value::from(LABEL)),
            ("org.freedesktop.Secret.Item.Attributes", Value::from(attributes())),
        ]);
        let value = (&keyring.session, Vec::<u8>::new(), secret.as_bytes(), "text/plain");
        let (_, prompt): (OwnedObjectPath, OwnedObjectPath) = at.call("CreateItem", &(properties, value, true)).await?;
        keyring.prompt(&prompt).await
    }

    pub(super) async fn forget() -> zbus::Result<()> {
        let keyring = open().await?;
        for item in keyring.items().await? {
            let item = proxy(&keyring.bus, item.as_str(), ITEM).await?;
            let prompt: OwnedObjectPath = item.call("Delete", &()).await?;
            keyring.prompt(&prompt).await?;
        }
        Ok(())
    }
}
