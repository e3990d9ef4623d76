//! What happened, newest first: time, level and words, with levels that can be left out.

use asterism_session::{Notice, NoticeLevel};
use egui::{RichText, ScrollArea, Ui, vec2};
use serde::{Deserialize, Serialize};

use crate::cx::Cx;

/// Which notices are shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogPane {
    /// Only warnings and errors.
    pub troubles_only: bool,
}

/// `14:05:09`, in universal time.
fn clock(unix: u64) -> String {
    let s = unix % 86_400;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

fn as_text(notices: &[Notice]) -> String {
    let level = |l: NoticeLevel| match l {
        NoticeLevel::Info => "info",
        NoticeLevel::Warning => "warning",
        NoticeLevel::Error => "error",
    };
    notices.iter().map(|n| format!("{} UT  {}  {}\n", clock(n.unix_time), level(n.level), n.text)).collect()
}

impl LogPane {
    /// For the tab.
    pub fn title(&self, cx: &Cx<'_>) -> String {
        match cx.session.notices().iter().filter(|n| n.level == NoticeLevel::Error).count() {
            0 => "Log".into(),
            n => format!("Log ({n})"),
        }
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if ui.button("Copy").on_hover_text("Copy the log as text").clicked() {
            ui.ctx().copy_text(as_text(cx.session.notices()));
        }
        ui.toggle_value(&mut self.troubles_only, "only troubles").on_hover_text("Warnings and errors alone");
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let notices: Vec<&Notice> =
            cx.session.notices().iter().rev().filter(|n| !self.troubles_only || n.level != NoticeLevel::Info).collect();
        if notices.is_empty() {
            super::empty(ui, cx.theme, "Nothing to tell", "What jobs did, and what went wrong, is kept here.");
            return;
        }
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            egui::Frame::new().inner_margin(10.0).show(ui, |ui| {
                for notice in notices.iter().take(1000) {
                    let (word, colour) = match notice.level {
                        NoticeLevel::Info => ("info", cx.theme.third),
                        NoticeLevel::Warning => ("warning", cx.theme.warning),
                        NoticeLevel::Error => ("error", cx.theme.error),
                    };
                    ui.horizontal_top(|ui| {
                        ui.add_sized(
                            vec2(64.0, 18.0),
                            egui::Label::new(RichText::new(clock(notice.unix_time)).color(cx.theme.third)),
                        )
                        .on_hover_text("Universal time");
                        ui.add_sized(vec2(58.0, 18.0), egui::Label::new(RichText::new(word).color(colour)));
                        ui.add(egui::Label::new(RichText::new(&notice.text).color(cx.theme.text)).wrap().selectable(true));
                    });
                }
                if notices.len() > 1000 {
                    ui.label(RichText::new(format!("and {} older ones", notices.len() - 1000)).color(cx.theme.third));
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_can_be_copied() {
        let notices = [Notice { level: NoticeLevel::Error, text: "no route".into(), unix_time: 50_709 }];
        assert_eq!(as_text(&notices), "14:05:09 UT  error  no route\n");
    }
}
