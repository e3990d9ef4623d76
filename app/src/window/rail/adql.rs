//! The ADQL editor: keywords in colour, and a list that completes keywords, tables and columns.

use asterism_session::archive::{ADQL_KEYWORDS, TapSchema};
use egui::text::{CCursor, CCursorRange, LayoutJob, TextFormat};
use egui::{Key, Modifiers, Ui};

use super::kit;
use crate::theme::{self, Theme};

/// Which line of the list is in front.
#[derive(Default)]
pub struct State {
    at: usize,
    /// Put away with Esc, until something is typed.
    hidden: bool,
    /// The list as it was shown last, and where the word begins.
    list: Vec<(String, String)>,
    from: usize,
    to: usize,
}

/// Text in the colours of ADQL: keywords, strings, numbers, comments.
pub fn colours(text: &str, theme: &Theme, width: f32) -> LayoutJob {
    let mut job = LayoutJob { wrap: egui::text::TextWrapping { max_width: width, ..Default::default() }, ..Default::default() };
    let font = theme::mono(12.0);
    let mut put = |text: &str, colour| job.append(text, 0.0, TextFormat::simple(font.clone(), colour));
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let start = i;
        let c = bytes[i];
        if c == b'-' && bytes.get(i + 1) == Some(&b'-') {
            while i < bytes.len() && bytes[i] != b'\n' {
                i += 1;
            }
            put(&text[start..i], theme.third);
        } else if c == b'\'' {
            i += 1;
            while i < bytes.len() && bytes[i] != b'\'' {
                i += 1;
            }
            i = (i + 1).min(bytes.len());
            put(&text[start..i], theme.accent);
        } else if c.is_ascii_alphabetic() || c == b'_' {
            while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_') {
                i += 1;
            }
            let word = &text[start..i];
            let key = ADQL_KEYWORDS.binary_search(&word.to_ascii_uppercase().as_str()).is_ok();
            put(word, if key { theme.selected } else { theme.text });
        } else if c.is_ascii_digit() {
            while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'.') {
                i += 1;
            }
            put(&text[start..i], theme.text);
        } else {
            i += 1;
            while i < bytes.len() && !text.is_char_boundary(i) {
                i += 1;
            }
            put(&text[start..i], theme.second);
        }
    }
    job
}

/// What could end the word before `at` (a place between characters), with a note for each.
pub fn completions(text: &str, at: usize, schema: Option<&TapSchema>) -> (usize, Vec<(String, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let at = at.min(chars.len());
    let mut from = at;
    while from > 0 && (chars[from - 1].is_alphanumeric() || chars[from - 1] == '_' || chars[from - 1] == '.') {
        from -= 1;
    }
    let word: String = chars[from..at].iter().collect::<String>().to_lowercase();
    if word.is_empty() {
        return (at, Vec::new());
    }
    let before: String = chars[..from].iter().collect::<String>().to_uppercase();
    let after_from = before.trim_end().ends_with("FROM") || before.trim_end().ends_with("JOIN");
    let mut list: Vec<(String, String)> = Vec::new();
    if let Some(schema) = schema {
        let whole = text.to_lowercase();
        if !after_from {
            for table in schema.tables.iter().filter(|t| whole.contains(&t.name.to_lowercase())) {
                for c in &table.columns {
                    let fits = c.name.to_lowercase().trim_matches('"').starts_with(&word);
                    if fits && !list.iter().any(|(n, _)| *n == c.name) {
                        let unit = if c.unit.is_empty() { String::new() } else { format!("[{}] ", c.unit) };
                        list.push((c.name.clone(), format!("{unit}{}", c.description)));
                    }
                }
            }
        }
        for table in &schema.tables {
            let name = table.name.to_lowercase();
            if name.starts_with(&word) || name.rsplit('.').next().is_some_and(|n| n.starts_with(&word)) {
                list.push((table.name.clone(), table.description.clone()));
            }
        }
    }
    if !after_from && word.len() > 1 {
        let upper = word.to_uppercase();
        list.extend(ADQL_KEYWORDS.iter().filter(|k| k.starts_with(&upper)).map(|k| ((*k).to_owned(), String::new())));
    }
    list.truncate(40);
    if list.len() == 1 && list[0].0.to_lowercase() == word {
        list.clear();
    }
    (from, list)
}

/// Draw the editor.
pub fn editor(ui: &mut Ui, theme: &Theme, state: &mut State, text: &mut String, schema: Option<&TapSchema>) {
    let id = ui.make_persistent_id("adql");
    let focused = ui.memory(|m| m.has_focus(id));
    let mut accept = None;
    if focused && !state.hidden && !state.list.is_empty() {
        let n = state.list.len();
        ui.input_mut(|i| {
            if i.consume_key(Modifiers::NONE, Key::ArrowDown) {
                state.at = (state.at + 1) % n;
            }
            if i.consume_key(Modifiers::NONE, Key::ArrowUp) {
                state.at = (state.at + n - 1) % n;
            }
            if i.consume_key(Modifiers::NONE, Key::Escape) {
                state.hidden = true;
            }
            if i.consume_key(Modifiers::NONE, Key::Tab) || i.consume_key(Modifiers::NONE, Key::Enter) {
                accept = Some(state.at);
            }
        });
    }
    let mut layouter = |ui: &Ui, buffer: &dyn egui::TextBuffer, width: f32| {
        let job = colours(buffer.as_str(), theme, width);
        ui.fonts_mut(|f| f.layout_job(job))
    };
    let output = ui
        .scope(|ui| {
            kit::field_look(ui, theme);
            egui::TextEdit::multiline(text)
                .id(id)
                .font(theme::mono(12.0))
                .desired_width(f32::INFINITY)
                .desired_rows(6)
                .lock_focus(true)
                .hint_text("SELECT …")
                .layouter(&mut layouter)
                .show(ui)
        })
        .inner;
    let response = &output.response.response;
    ui.ctx().accesskit_node_builder(response.id, |node| node.set_label("ADQL"));
    if response.changed() {
        state.hidden = false;
        state.at = 0;
    }
    let cursor = output.cursor_range.map(|c| c.primary.index.0);
    let Some(cursor) = cursor.filter(|_| response.has_focus()) else {
        if accept.is_none() {
            state.list.clear();
        }
        return;
    };
    if accept.is_none() {
        (state.from, state.list) = completions(text, cursor, schema);
        state.to = cursor;
        state.at = state.at.min(state.list.len().saturating_sub(1));
    }
    if !state.hidden && !state.list.is_empty() {
        // Esc puts the list away and leaves the cursor in the text.
        let all = egui::EventFilter { tab: true, horizontal_arrows: true, vertical_arrows: true, escape: true };
        ui.memory_mut(|m| m.set_focus_lock_filter(id, all));
        let caret = output.galley.pos_from_cursor(CCursor::new(state.from));
        let at = output.galley_pos + caret.left_bottom().to_vec2() + egui::vec2(-6.0, 4.0);
        egui::Area::new(id.with("list")).order(egui::Order::Foreground).fixed_pos(at).constrain(true).show(ui.ctx(), |ui| {
            egui::Frame::popup(ui.style()).inner_margin(4.0).show(ui, |ui| {
                egui::ScrollArea::vertical().max_height(200.0).show(ui, |ui| {
                    ui.set_width(340.0);
                    ui.spacing_mut().item_spacing.y = 0.0;
                    for (i, (name, note)) in state.list.iter().enumerate() {
                        let (rect, response) = ui.allocate_exact_size(egui::vec2(340.0, 22.0), egui::Sense::click());
                        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Complete {name}")));
                        if i == state.at {
                            ui.painter().rect_filled(rect, 3.0, theme.soft);
                            response.scroll_to_me(None);
                        } else if response.hovered() {
                            ui.painter().rect_filled(rect, 3.0, theme.hovered);
                        }
                        let galley = kit::elided(ui, name, theme::mono(12.0), theme.text, 200.0);
                        let width = galley.size().x;
                        let y = rect.center().y - galley.size().y / 2.0;
                        ui.painter().galley(egui::pos2(rect.left() + 6.0, y), galley, theme.text);
                        let galley = kit::elided(ui, note, theme::small(), theme.third, 340.0 - width - 24.0);
                        let y = rect.center().y - galley.size().y / 2.0;
                        ui.painter().galley(egui::pos2(rect.left() + width + 16.0, y), galley, theme.third);
                        if response.clicked() {
                            accept = Some(i);
                        }
                    }
                });
            });
        });
    }
    if let Some((word, _)) = accept.and_then(|i| state.list.get(i)).cloned() {
        let chars: Vec<char> = text.chars().collect();
        let head: String = chars[..state.from.min(chars.len())].iter().collect();
        let tail: String = chars[state.to.min(chars.len())..].iter().collect();
        *text = format!("{head}{word} {}", tail.trim_start_matches(' '));
        let place = CCursor::new(state.from + word.chars().count() + 1);
        let mut edit = output.state;
        edit.cursor.set_char_range(Some(CCursorRange::one(place)));
        edit.store(ui.ctx(), id);
        ui.memory_mut(|m| m.request_focus(id));
        state.list.clear();
        state.at = 0;
        state.hidden = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asterism_session::archive::{TapColumn, TapTable};

    fn schema() -> TapSchema {
        let column = |name: &str| TapColumn { name: name.into(), ..Default::default() };
        TapSchema {
            tables: vec![TapTable {
                name: "gaiadr3.gaia_source".into(),
                description: String::new(),
                columns: vec![column("parallax"), column("pmra")],
            }],
        }
    }

    #[test]
    fn words_are_completed_from_the_schema() {
        let s = schema();
        let names = |text: &str| completions(text, text.chars().count(), Some(&s)).1.into_iter().map(|c| c.0).collect::<Vec<_>>();
        assert_eq!(names("SELECT * FROM gai"), ["gaiadr3.gaia_source"]);
        assert_eq!(names("SELECT * FROM gaiadr3.gaia_source WHERE par")[0], "parallax");
        assert!(names("SEL").contains(&"SELECT".to_owned()));
        assert!(names("SELECT ").is_empty());
    }

    #[test]
    fn colours_keep_every_character() {
        let text = "SELECT 'é', \"a b\" -- ü\nFROM t WHERE x > 1.5";
        assert_eq!(colours(text, &Theme::dark(), 100.0).text, text);
    }
}
