//! The dialog for the token of a MAST account: paste, test, keep in the keyring, forget.
//!
//! The field shows dots, and its text is dropped as soon as it was handed on.

use asterism_session::account::Account;
use asterism_session::archive::keyring;
use egui::Ui;

use super::{App, dialogs, kit};
use crate::theme;

/// What is typed.
#[derive(Default)]
pub struct Form {
    text: String,
    keep: bool,
    wrong: String,
    /// Not drawn yet: the field takes the keys.
    fresh: bool,
}

impl Form {
    /// A fresh one.
    pub fn new() -> Self {
        Self { keep: keyring::supported(), fresh: true, ..Self::default() }
    }
}

/// Draw it when it is open.
pub fn show(app: &mut App, ui: &mut Ui) {
    let Some(mut form) = app.doors.token.take() else { return };
    let theme = app.theme.clone();
    let (mut use_it, mut forget, mut close) = (false, false, false);
    let account = app.session.account().clone();
    let kept = app.session.token_kept();
    let closed = dialogs::modal(ui, "token", &theme, 460.0, |ui| {
        ui.label(egui::RichText::new("MAST token").font(theme::semibold(15.0)));
        let about = "Data that are not public yet need the token of a MAST account. Make one on auth.mast.stsci.edu/token and paste it here; \
                     it goes to MAST over https and into no file, session or recipe.";
        kit::note(ui, theme.third, about);
        ui.add_space(8.0);
        kit::field_look(ui, &theme);
        let edit = egui::TextEdit::singleline(&mut form.text).password(true).hint_text("token").desired_width(f32::INFINITY);
        let edit = ui.add(edit).accessible_name("Token");
        if std::mem::take(&mut form.fresh) {
            edit.request_focus();
        }
        ui.add_space(4.0);
        if keyring::supported() {
            ui.checkbox(&mut form.keep, "Keep it in the keyring of this desktop");
        } else {
            let text =
                "This system has no keyring that Asterism can use: it lasts until the window closes, or set MAST_API_TOKEN.";
            kit::note(ui, theme.third, text);
        }
        let (text, colour) = match &account {
            Account::Unknown => (String::new(), theme.third),
            Account::Asking => ("MAST is asked…".to_owned(), theme.third),
            Account::None => ("No token is in use.".to_owned(), theme.third),
            Account::Known(name) => {
                (format!("Signed in as {name}{}", if kept { "; the token is in the keyring." } else { "." }), theme.accent)
            }
            Account::Refused(why) => (why.clone(), theme.error),
        };
        let (text, colour) = if form.wrong.is_empty() { (text, colour) } else { (form.wrong.clone(), theme.error) };
        if !text.is_empty() {
            ui.add_space(4.0);
            kit::note(ui, colour, text);
        }
        ui.add_space(12.0);
        ui.horizontal(|ui| {
            use_it = kit::primary(ui, &theme, "Test and use", !form.text.trim().is_empty()).clicked();
            let has = kept || matches!(account, Account::Known(_) | Account::Refused(_));
            forget = kit::button(ui, "Forget", has).on_hover_text("Use no token, and take it out of the keyring").clicked();
            close = kit::button(ui, "Close", true).clicked();
        });
    });
    if use_it {
        form.wrong = app.session.use_token(&form.text, form.keep).err().map(|e| e.to_string()).unwrap_or_default();
        form.text.clear();
    }
    if forget {
        app.session.forget_token();
    }
    if !closed && !close {
        app.doors.token = Some(form);
    }
}
