//! The archive's doors in the window: what views ask of it (a folder for one product, the view of what is behind a row).

use std::path::PathBuf;

use asterism_session::{Command, NoticeLevel};

use super::{App, dialogs, tiles};
use crate::cx::Wish;
use crate::panes::Pane;

/// What is open, or waits for an answer.
#[derive(Default)]
pub struct State {
    /// The product that a folder is asked for: address and name.
    saving: Option<(String, String)>,
    /// The form of a match.
    pub(super) matching: Option<super::matching::Form>,
    /// The form for the token.
    pub(super) token: Option<super::token::Form>,
}

impl App {
    pub(super) fn wish(&mut self, ctx: &egui::Context, wish: Wish) {
        match wish {
            Wish::Behind => {
                tiles::bring(&mut self.tree, |p| matches!(p, Pane::Behind(_)), || Pane::Behind(Box::default()));
                self.arranged_by_hand();
            }
            Wish::Save { address, name } => {
                self.doors.saving = Some((address, name));
                self.dialogs.pick(ctx, dialogs::Purpose::Product, String::new());
            }
            Wish::Say(text) => self.session.notice(NoticeLevel::Warning, text),
        }
        ctx.request_repaint();
    }

    /// Whether a dialog stands before everything else.
    pub(super) fn modal(&self) -> bool {
        self.dialogs.modal() || self.doors.matching.is_some() || self.doors.token.is_some() || self.large.modal()
    }

    pub(super) fn show_token(&mut self) {
        self.doors.token = Some(super::token::Form::new());
        // Whose the token in use is, is asked when somebody looks.
        if *self.session.account() == asterism_session::account::Account::Unknown
            && let Err(e) = self.session.ask_account()
        {
            self.session.notice(NoticeLevel::Error, e.to_string());
        }
    }

    pub(super) fn show_tap_jobs(&mut self) {
        tiles::bring(&mut self.tree, |p| matches!(p, Pane::TapJobs(_)), || Pane::TapJobs(Default::default()));
        self.arranged_by_hand();
    }

    pub(super) fn save_product(&mut self, ctx: &egui::Context, to: PathBuf) {
        if let Some((address, name)) = self.doors.saving.take() {
            self.apply(ctx, Command::SaveProduct { address, name, to });
        }
    }
}
