//! The MAST account: whose token is in use, and keeping it in the desktop's keyring.
//!
//! None of this is a command: a command is plain data that can be written down, and a token never is. It goes from the field that it
//! was pasted into to the client and the keyring, and nowhere else.

use asterism_archive::{Token, keyring};

use crate::error::Result;
use crate::jobs::NoticeLevel;
use crate::session::Session;

/// What is known of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Account {
    /// Nobody asked yet.
    #[default]
    Unknown,
    /// Being asked.
    Asking,
    /// There is no token.
    None,
    /// MAST knows whose it is: the name it says.
    Known(String),
    /// MAST does not take it, or could not be asked, with the reason.
    Refused(String),
}

/// The token of this session, and what MAST says of it.
#[derive(Default)]
pub(crate) struct State {
    token: Option<Token>,
    account: Account,
    kept: bool,
}

impl State {
    /// For a client that is made anew.
    pub(crate) fn token(&self) -> Option<Token> {
        self.token.clone()
    }
}

impl Session {
    /// What is known of the token.
    pub fn account(&self) -> &Account {
        &self.account.account
    }

    /// Whether the token is in the keyring, as far as this session knows.
    pub fn token_kept(&self) -> bool {
        self.account.kept
    }

    /// Read the token from the keyring, in the background; one from the environment comes first. A desktop without a keyring is
    /// no error here: nobody asked for one.
    pub fn recall_token(&mut self) {
        if !keyring::supported() || Token::from_environment().is_some() {
            return;
        }
        self.start("Read the keyring", 0, false, move |handle| {
            if let Ok(Some(token)) = keyring::load() {
                handle.fact(move |s| {
                    s.account.kept = true;
                    s.take_token(Some(token));
                });
            }
            Ok(())
        });
    }

    fn take_token(&mut self, token: Option<Token>) {
        self.account.token.clone_from(&token);
        if let Ok(client) = self.client() {
            client.set_token(token.or_else(Token::from_environment));
        }
    }

    /// Use a token from now on, ask MAST whose it is, and keep it in the keyring if `keep` says so. A token that MAST refuses is
    /// not kept.
    ///
    /// # Errors
    /// When the text is no token; the text is not in the message.
    pub fn use_token(&mut self, text: &str, keep: bool) -> Result<()> {
        let token = Token::new(text)?;
        self.take_token(Some(token.clone()));
        self.check_token(keep.then_some(token))
    }

    /// Ask MAST whose the token in use is.
    ///
    /// # Errors
    /// When the network cannot be set up at all.
    pub fn ask_account(&mut self) -> Result<()> {
        self.check_token(None)
    }

    fn check_token(&mut self, keep: Option<Token>) -> Result<()> {
        let client = self.client()?;
        self.account.account = Account::Asking;
        self.start("Ask MAST whose token this is", 0, false, move |handle| {
            handle.say("asking", 0, 0);
            let account = if !client.has_token() {
                Account::None
            } else {
                match client.whoami(&|| handle.cancelled()) {
                    Ok(Some(name)) => Account::Known(name),
                    Ok(None) => Account::Refused("MAST does not know this token: it may have died; make a new one".into()),
                    Err(e) => Account::Refused(e.to_string()),
                }
            };
            let known = matches!(account, Account::Known(_));
            handle.fact(move |s| s.account.account = account);
            if let Some(token) = keep.filter(|_| known) {
                handle.say("keyring", 0, 0);
                keyring::save(&token)?;
                handle.fact(|s| {
                    s.account.kept = true;
                    s.notice(NoticeLevel::Info, "The token is in the keyring of this desktop");
                });
            }
            Ok(())
        });
        Ok(())
    }

    /// Use no token any more, and take it out of the keyring.
    pub fn forget_token(&mut self) {
        self.take_token(None);
        self.account.account = Account::None;
        if !std::mem::take(&mut self.account.kept) {
            return;
        }
        self.start("Forget the token", 0, false, move |handle| {
            keyring::forget()?;
            handle.fact(|s| s.notice(NoticeLevel::Info, "The token is forgotten"));
            Ok(())
        });
    }
}
