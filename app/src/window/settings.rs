//! The side panel of settings: look, size, addresses of services.

use asterism_session::archive::{Kind, SavedService, Services};
use egui::Ui;

use super::{Action, App, kit};
use crate::theme;

/// What the portal is asked for at most; the archive crate holds larger wishes to it.
const MOST_OF_A_PAGE: usize = 50_000;

/// Whether it is open.
#[derive(Default)]
pub struct State {
    /// Shown at the right.
    pub open: bool,
}

/// Draw it.
pub fn show(app: &mut App, ui: &mut Ui) {
    let theme = app.theme.clone();
    let mut services = app.session.settings().services.clone();
    let mut threads = app.session.settings().threads;
    let mut table_gb = app.session.settings().table_gb;
    let (services_before, threads_before, table_before) = (services.clone(), threads, table_gb);
    egui::Frame::new().inner_margin(theme::PADDING).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(egui::RichText::new("Settings").font(theme::semibold(15.0)));
            kit::right(ui, |ui| {
                if kit::icon(ui, &theme, "Close settings", kit::draw_cross).clicked() {
                    app.settings.open = false;
                }
            });
        });
        egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            let head = |ui: &mut Ui, text: &str| {
                ui.add_space(12.0);
                ui.label(egui::RichText::new(text).font(theme::semibold(theme::BODY)));
                ui.add_space(2.0);
            };
            head(ui, "Look");
            kit::row(ui, &theme, "Theme", "Dark or light  (Ctrl+T)", |ui| {
                for (name, dark) in [("Dark", true), ("Light", false)] {
                    if ui.selectable_label(theme.dark == dark, name).clicked() && theme.dark != dark {
                        app.actions.push(Action::Theme);
                    }
                }
            });
            kit::row(ui, &theme, "Size", "Of everything  (Ctrl and + or -)", |ui| {
                if ui.button("−").clicked() {
                    app.actions.push(Action::Zoom(-0.1));
                }
                ui.label(format!("{:.0} %", ui.ctx().zoom_factor() * 100.0));
                if ui.button("+").clicked() {
                    app.actions.push(Action::Zoom(0.1));
                }
            });
            head(ui, "Computation");
            kit::row(ui, &theme, "Threads", "For maps and files; 0 for all cores. Takes effect at the next start", |ui| {
                ui.add(egui::DragValue::new(&mut threads).range(0..=1024))
            });
            let help = "Larger tables are asked about: which columns, which rows. 0 for a quarter of this machine's memory";
            kit::row(ui, &theme, "Tables up to", help, |ui| {
                ui.add(egui::DragValue::new(&mut table_gb).range(0.0..=100_000.0).speed(0.1).max_decimals(1).suffix(" GB"))
            });
            head(ui, "MAST");
            for (label, help, value) in [
                ("Portal", "Portal API, products and downloads", &mut services.mast),
                ("Resolver", "Name look-up", &mut services.resolver),
                ("Catalogs", "Catalogs API (Pan-STARRS)", &mut services.catalogs),
                ("TAP", "A collection's name follows it", &mut services.mast_tap),
            ] {
                kit::row(ui, &theme, label, help, |ui| kit::text(ui, &theme, value, "https://…"));
            }
            head(ui, "Network");
            kit::row(ui, &theme, "Silent after", "Seconds without a byte after which a service counts as silent", |ui| {
                ui.add(egui::DragValue::new(&mut services.timeout_s).range(1.0..=3600.0).suffix(" s"))
            });
            kit::row(ui, &theme, "Tries", "How often a request is tried again", |ui| {
                ui.add(egui::DragValue::new(&mut services.retries).range(0..=10))
            });
            let help =
                "Rows of one page, 1 to 50,000. A first page of 500 goes before larger ones, so that rows are soon in sight";
            kit::row(ui, &theme, "Page of MAST", help, |ui| {
                ui.add(egui::DragValue::new(&mut services.page_size).range(1..=MOST_OF_A_PAGE).speed(100))
            });
            head(ui, "Products on this disk");
            let help = "The files used longest ago go when the cache of products grows above it; 0 for no limit";
            kit::row(ui, &theme, "Keep at most", help, |ui| {
                ui.add(
                    egui::DragValue::new(&mut services.cache_gb).range(0.0..=100_000.0).speed(0.1).max_decimals(1).suffix(" GB"),
                )
            });
            head(ui, "Services");
            saved(ui, &theme, &mut services.saved);
            ui.add_space(12.0);
            if kit::button(ui, "Bring the addresses back", true)
                .on_hover_text("All addresses as the program came with them")
                .clicked()
            {
                services = Services::default();
            }
        });
    });
    if table_gb != table_before {
        asterism_session::data::scan::set_limit((table_gb * 1e9) as u64);
    }
    if services != services_before || threads != threads_before || table_gb != table_before {
        let settings = app.session.settings_mut();
        settings.services = services;
        settings.threads = threads;
        settings.table_gb = table_gb;
        app.keep_settings();
    }
}

fn saved(ui: &mut Ui, theme: &theme::Theme, list: &mut Vec<SavedService>) {
    let mut gone = None;
    for (i, s) in list.iter_mut().enumerate() {
        ui.push_id(i, |ui| {
            ui.horizontal(|ui| {
                kit::field_look(ui, theme);
                let edit = egui::TextEdit::singleline(&mut s.name).desired_width(120.0);
                ui.name_inputs(format!("Name of service {}", i + 1), |ui| ui.add(edit));
                ui.name_inputs(format!("Kind of service {}", i + 1), |ui| {
                    egui::ComboBox::from_id_salt("kind").selected_text(s.kind.to_string()).width(70.0).show_ui(ui, |ui| {
                        for kind in [Kind::Tap, Kind::Cone, Kind::Sia, Kind::Ssa, Kind::Hats] {
                            ui.selectable_value(&mut s.kind, kind, kind.to_string());
                        }
                    });
                });
                kit::right(ui, |ui| {
                    if kit::icon(ui, theme, &format!("Remove {}", s.name), kit::draw_cross).clicked() {
                        gone = Some(i);
                    }
                });
            });
            ui.scope(|ui| {
                kit::field_look(ui, theme);
                kit::text(ui, theme, &mut s.url, "https://…").accessible_name(format!("Address of service {}", i + 1));
            });
            ui.add_space(6.0);
        });
    }
    if let Some(i) = gone {
        list.remove(i);
    }
    if kit::button(ui, "Add a service", true).clicked() {
        list.push(SavedService { name: "New service".into(), kind: Kind::Tap, url: String::new(), description: String::new() });
    }
}
