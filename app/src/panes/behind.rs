//! What stands behind one row: its links, the services that cut its data, and cut-outs at its place.
//!
//! The row is the selected one; of several, one at a time. Nothing is asked before the button is pressed. What is opened becomes an
//! image of this table or a table of its own.

use std::collections::BTreeMap;

use asterism_session::archive::datalink::{Link, ServiceDescriptor, ServiceParam};
use asterism_session::behind::{Behind, CutOuts, Looked, hubble_of, position_of};
use asterism_session::{Command, CutOut, Dataset};
use egui::{RichText, ScrollArea, Stroke, Ui, vec2};
use serde::{Deserialize, Serialize};

use crate::cx::{Cx, Wish};
use crate::theme;
use crate::widgets::format;
use crate::window::kit;

/// What a person set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct BehindPane {
    tess_pixels: u32,
    field_pixels: u32,
    ps1_arcmin: f64,
    ps1_filters: String,
    ps1_colour: bool,
    hubble_pixels: u32,
    /// Which of the selected rows.
    #[serde(skip)]
    place: usize,
    /// Sector and survey; empty for all.
    #[serde(skip)]
    only: [String; 2],
    /// Texts of the forms of services, by service and parameter.
    #[serde(skip)]
    forms: BTreeMap<String, String>,
    /// The row that the forms are for.
    #[serde(skip)]
    of: Option<(u32, usize)>,
    /// The row that was asked about last, as last seen.
    #[serde(skip)]
    asked: Option<(u32, usize)>,
}

impl Default for BehindPane {
    fn default() -> Self {
        Self {
            tess_pixels: 11,
            field_pixels: 100,
            ps1_arcmin: 1.0,
            ps1_filters: "gri".into(),
            ps1_colour: true,
            hubble_pixels: 256,
            place: 0,
            only: Default::default(),
            forms: BTreeMap::new(),
            of: None,
            asked: None,
        }
    }
}

impl BehindPane {
    /// For the tab.
    pub fn title(&self, _cx: &Cx<'_>) -> String {
        "Behind this row".into()
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, _ui: &mut Ui, _cx: &mut Cx<'_>) {}

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(dataset) = cx.session.doc().dataset().cloned() else { return };
        let chosen = &cx.session.doc().selection.rows;
        let count = chosen.count();
        if count == 0 {
            let how = "Links, files, cut-outs: select a row in any view, or right-click it in the table.";
            return super::empty(ui, cx.theme, "No row is selected", how);
        }
        let asked = cx.session.behind_row();
        if self.asked != asked {
            self.asked = asked;
            // Asked from elsewhere: go there.
            if let Some((of, row)) = asked
                && of == dataset.id
                && chosen.contains(row)
            {
                self.place = chosen.iter().take_while(|r| *r < row).count();
            }
        }
        self.place = self.place.min(count - 1);
        let Some(mut row) = chosen.iter().nth(self.place) else { return };
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            egui::Frame::new().inner_margin(12.0).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 6.0;
                let looked = cx.session.behind(dataset.id, row);
                self.head(ui, cx, &dataset, &mut row, count, &looked);
                if self.of != Some((dataset.id, row)) {
                    self.of = Some((dataset.id, row));
                    self.forms.clear();
                    self.only = Default::default();
                }
                match &looked {
                    Looked::Not => {}
                    Looked::Asking => {
                        kit::note(ui, cx.theme.third, "The service is asked…");
                        kit::progress(ui, cx.theme, None);
                    }
                    Looked::Failed(why) => {
                        kit::note(ui, cx.theme.error, why.clone());
                    }
                    Looked::Found(found) => self.found(ui, cx, found),
                }
                if let Some(at) = position_of(&dataset, row) {
                    self.cut_outs(ui, cx, &dataset, row, at);
                }
            });
        });
    }

    fn head(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, dataset: &Dataset, row: &mut usize, count: usize, looked: &Looked<Behind>) {
        ui.horizontal(|ui| {
            ui.set_min_height(26.0);
            let name = dataset
                .id_column()
                .and_then(|c| dataset.table.column_index(&c))
                .map(|i| dataset.table.cell(*row, i).to_string())
                .filter(|t| !t.trim().is_empty());
            let title = match name {
                Some(name) => format!("Row {} · {name}", format::count(*row + 1)),
                None => format!("Row {}", format::count(*row + 1)),
            };
            let room = (ui.available_width() - 190.0).max(80.0);
            let galley = kit::elided(ui, &title, theme::semibold(theme::BODY), cx.theme.text, room);
            ui.label(galley);
            if count > 1 {
                let next = |ui: &mut Ui, word: &str, name: &str, on: bool| {
                    ui.add_enabled(on, egui::Button::new(word)).accessible_name(name).on_hover_text(name).clicked()
                };
                if next(ui, "‹", "Selected row before", self.place > 0) {
                    self.place -= 1;
                }
                if next(ui, "›", "Next selected row", self.place + 1 < count) {
                    self.place += 1;
                }
                let of = format!("{} of {}", format::count(self.place + 1), format::count(count));
                ui.label(RichText::new(of).font(theme::small()).color(cx.theme.third));
                *row = cx.session.doc().selection.rows.iter().nth(self.place).unwrap_or(*row);
            }
            kit::right(ui, |ui| {
                let (word, fresh) = match looked {
                    Looked::Not => ("Look behind", true),
                    Looked::Asking => ("Asking…", false),
                    _ => ("Ask again", true),
                };
                let help = "Ask what the service has behind this row: links, files, services that cut. Nothing is downloaded.";
                let pressed = if matches!(looked, Looked::Not) {
                    kit::primary(ui, cx.theme, word, true)
                } else {
                    kit::button(ui, word, fresh)
                };
                if pressed.on_hover_text(help).clicked() {
                    cx.commands.push(Command::LookBehind { row: *row });
                }
            });
        });
    }

    fn found(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, found: &Behind) {
        section(ui, cx, &format!("Links · {}", found.from));
        if found.links.links.is_empty() {
            kit::note(ui, cx.theme.third, "The service lists nothing behind this row.");
        }
        for (i, link) in found.links.links.iter().enumerate() {
            ui.push_id(("link", i), |ui| line(ui, cx, link));
        }
        for (i, service) in found.links.services.iter().enumerate().filter(|(_, s)| !s.is_links()) {
            let link = found.links.links.iter().find(|l| !l.service_def.is_empty() && l.service_def == service.id);
            ui.push_id(("service", i), |ui| self.service(ui, cx, found, i, service, link));
        }
    }

    /// The form of a service that cuts or processes.
    fn service(
        &mut self,
        ui: &mut Ui,
        cx: &mut Cx<'_>,
        found: &Behind,
        index: usize,
        service: &ServiceDescriptor,
        link: Option<&Link>,
    ) {
        let soda = service.standard_id.to_ascii_lowercase().contains("soda");
        let about = [link.map_or("", |l| l.description.as_str()), service.description.as_str()]
            .into_iter()
            .find(|t| !t.is_empty())
            .unwrap_or(if soda { "Cut out a part of the data" } else { "Service" });
        section(ui, cx, &format!("{} · {about}", if soda { "SODA" } else { "Service" }));
        let mut values: Vec<(String, String)> = Vec::new();
        for param in service.params.iter().filter(|p| p.is_open() && !p.name.eq_ignore_ascii_case("ID")) {
            let key = format!("{index}/{}", param.name);
            let text = self.forms.entry(key).or_insert_with(|| first_value(param, found.at));
            parameter(ui, cx, param, text, found.at);
            let given = text.trim();
            if !given.is_empty() {
                values.push((param.name.clone(), given.to_owned()));
            }
        }
        if !values.is_empty() || soda {
            kit::note(ui, cx.theme.third, "What is left empty is not sent.");
        }
        let id = link.map(|l| l.id.clone()).unwrap_or_default();
        let name = link.map(|l| l.id.rsplit(['/', '?', '#']).next().unwrap_or("").to_owned()).filter(|n| !n.is_empty());
        let (word, by_job) = (if soda { "Cut out" } else { "Ask the service" }, !service.is_sync());
        let help = if by_job {
            "The service makes a job of it; what it cuts is shown when the job is done"
        } else {
            "Fetch it and show it"
        };
        if kit::button(ui, word, true).on_hover_text(help).clicked() {
            let pairs: Vec<(&str, &str)> = values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            match service.address(&pairs, &|_| Some(id.clone()).filter(|t| !t.is_empty())) {
                Ok(address) => {
                    let name = name.map_or_else(|| about.to_owned(), |n| format!("{n}, cut"));
                    cx.commands.push(Command::OpenProduct { address, name, by_job });
                }
                Err(e) => cx.shared.wishes.push(Wish::Say(e.to_string())),
            }
        }
    }

    /// Cut-outs by position.
    fn cut_outs(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, dataset: &Dataset, row: usize, at: (f64, f64)) {
        let looked = cx.session.cut_outs(at);
        let found = if let Looked::Found(found) = &looked { Some(found.as_ref()) } else { None };
        section(ui, cx, &format!("Cut-outs at {}", format::sexagesimal(at.0, at.1)));
        let send = |cx: &mut Cx<'_>, from: CutOut| cx.commands.push(Command::CutOut { at, from });
        kit::row(ui, cx.theme, "TESScut", "Target pixels of TESS' full-frame images, 21 arcsec a pixel", |ui| {
            ui.add(egui::DragValue::new(&mut self.tess_pixels).range(1..=100).suffix(" px")).accessible_name("TESScut pixels");
            let sectors: Vec<String> = sectors(found);
            choice(ui, "Sector", "all sectors", &mut self.only[0], &sectors);
            if kit::button(ui, "Cut by TESScut", true).clicked() {
                send(cx, CutOut::Tess { pixels: self.tess_pixels, sector: self.only[0].parse().ok() });
            }
        });
        kit::row(ui, cx.theme, "Zcut", "Deep fields: HST and others, as FITS images", |ui| {
            ui.add(egui::DragValue::new(&mut self.field_pixels).range(1..=3000).suffix(" px")).accessible_name("Zcut pixels");
            let fields = found.and_then(|f| f.fields.clone().ok()).unwrap_or_default();
            choice(ui, "Survey", "all surveys", &mut self.only[1], &fields);
            if kit::button(ui, "Cut by Zcut", true).clicked() {
                let survey = Some(self.only[1].clone()).filter(|s| !s.is_empty());
                send(cx, CutOut::DeepField { pixels: self.field_pixels, survey });
            }
        });
        kit::row(ui, cx.theme, "Pan-STARRS", "Stacks of the sky north of declination -30, 0.25 arcsec a pixel", |ui| {
            let size = egui::DragValue::new(&mut self.ps1_arcmin).range(0.05..=25.0).speed(0.05).max_decimals(2).suffix("′");
            ui.add(size).accessible_name("Pan-STARRS arcmin").on_hover_text("Side of the cut-out, arcmin");
            ui.add(egui::TextEdit::singleline(&mut self.ps1_filters).desired_width(52.0))
                .accessible_name("Pan-STARRS filters")
                .on_hover_text("Letters of grizy");
            ui.checkbox(&mut self.ps1_colour, "Colour").on_hover_text("One picture in colour, or a FITS image a filter");
            let filters: String = self.ps1_filters.chars().filter(|c| "grizy".contains(*c)).collect();
            if kit::button(ui, "Cut by Pan-STARRS", !filters.is_empty()).clicked() {
                send(cx, CutOut::PanStarrs { arcmin: self.ps1_arcmin, filters, colour: self.ps1_colour });
            }
        });
        if let Some(name) = hubble_of(&dataset.table, row) {
            kit::row(ui, cx.theme, "Hubble", "The image of the Hubble Legacy Archive that this row names", |ui| {
                ui.add(egui::DragValue::new(&mut self.hubble_pixels).range(1..=4096).suffix(" px"))
                    .accessible_name("Hubble pixels");
                if kit::button(ui, "Cut by Hubble", true).clicked() {
                    send(cx, CutOut::Hubble { dataset: name, pixels: self.hubble_pixels });
                }
            });
        }
        match &looked {
            Looked::Found(found) => {
                kit::note(ui, cx.theme.third, coverage(found));
            }
            Looked::Asking => {
                kit::note(ui, cx.theme.third, "Asking what there is at this place…");
            }
            _ => {
                let help = "Ask TESScut, Zcut and Pan-STARRS what they have at this place";
                if kit::word(ui, cx.theme, "What is there?").on_hover_text(help).clicked() {
                    cx.commands.push(Command::FindCutOuts { at });
                }
            }
        }
    }
}

/// What can be done with a row of the table.
pub fn row_menu(ui: &mut Ui, cx: &mut Cx<'_>, row: usize) {
    if ui.button("Behind this row").on_hover_text("Its links, files and cut-outs").clicked() {
        cx.commands.push(Command::LookBehind { row });
        cx.shared.wishes.push(Wish::Behind);
        ui.close();
    }
    if ui.button("Rows most alike").on_hover_text("Select the 30 rows most alike to the selection").clicked() {
        cx.commands.push(Command::SelectAlike { k: 30 });
        ui.close();
    }
}

fn sectors(found: Option<&CutOuts>) -> Vec<String> {
    found.and_then(|f| f.tess.as_ref().ok()).map(|l| l.iter().map(|s| s.sector.to_string()).collect()).unwrap_or_default()
}

fn coverage(found: &CutOuts) -> String {
    let tess = match &found.tess {
        Ok(list) if list.is_empty() => "TESS never looked here".to_owned(),
        Ok(list) => format!("{} sector{} of TESS", list.len(), if list.len() == 1 { "" } else { "s" }),
        Err(why) => format!("TESScut: {why}"),
    };
    let fields = match &found.fields {
        Ok(list) if list.is_empty() => "no deep field".to_owned(),
        Ok(list) => format!("deep fields: {}", list.join(", ")),
        Err(why) => format!("Zcut: {why}"),
    };
    let ps1 = match &found.ps1 {
        Ok(list) if list.is_empty() => "nothing of Pan-STARRS".to_owned(),
        Ok(list) => format!("Pan-STARRS in {}", list.iter().map(|i| i.filter.as_str()).collect::<Vec<_>>().join("")),
        Err(why) => format!("Pan-STARRS: {why}"),
    };
    format!("{tess} · {fields} · {ps1}")
}

fn section(ui: &mut Ui, cx: &Cx<'_>, title: &str) {
    ui.add_space(6.0);
    let y = ui.cursor().top();
    ui.painter().hline(ui.max_rect().x_range(), y, Stroke::new(1.0, cx.theme.hairline));
    ui.add_space(6.0);
    ui.add(egui::Label::new(RichText::new(title).font(theme::small()).color(cx.theme.third)).truncate());
}

fn choice(ui: &mut Ui, name: &str, all: &str, value: &mut String, list: &[String]) {
    let shown = if value.is_empty() { all.to_owned() } else { value.clone() };
    let combo = egui::ComboBox::from_id_salt(name).selected_text(shown).width(96.0).truncate();
    let response = ui
        .add_enabled_ui(!list.is_empty(), |ui| {
            combo.show_ui(ui, |ui| {
                ui.selectable_value(value, String::new(), all);
                for one in list {
                    ui.selectable_value(value, one.clone(), one);
                }
            })
        })
        .inner
        .response;
    response.accessible_name(name).on_disabled_hover_text("'What is there?' fills this list");
}

/// One link: what it is, its type and size, and what can be done with it.
fn line(ui: &mut Ui, cx: &mut Cx<'_>, link: &Link) {
    let meaning = link.semantics.rsplit_once('#').map_or(link.semantics.as_str(), |(_, t)| t);
    let name = match link.description.as_str() {
        "" => link.access_url.split('?').next().and_then(|u| u.rsplit(['/', ':']).next()).unwrap_or("").to_owned(),
        text => text.to_owned(),
    };
    ui.horizontal(|ui| {
        ui.set_min_height(26.0);
        let (rect, response) = ui.allocate_exact_size(vec2(84.0, 20.0), egui::Sense::hover());
        let galley = kit::elided(ui, meaning, theme::small(), cx.theme.accent, 80.0);
        ui.painter().galley(egui::pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, cx.theme.accent);
        response.on_hover_text(format!("{}\nterm of the vocabulary of DataLink", link.semantics));
        kit::right(ui, |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            if !link.access_url.is_empty() {
                let copy = kit::word(ui, cx.theme, "Copy").accessible_name(format!("Copy address of {name}"));
                if copy.on_hover_text(&link.access_url).clicked() {
                    ui.ctx().copy_text(link.access_url.clone());
                }
                let save = ui.button("Save…").accessible_name(format!("Save {name}"));
                if save.on_hover_text("Download it into a folder").clicked() {
                    cx.shared.wishes.push(Wish::Save { address: link.access_url.clone(), name: file_name(link) });
                }
                let open = ui.button("Open").accessible_name(format!("Open {name}"));
                let help = "Fetch it and show it: an image of this table, or a table of its own";
                if open.on_hover_text(help).clicked() {
                    let address = link.access_url.clone();
                    cx.commands.push(Command::OpenProduct { address, name: name.clone(), by_job: false });
                }
            }
            let kind = short_type(&link.content_type);
            let about = match (kind.is_empty(), link.content_length) {
                (false, Some(bytes)) => format!("{kind} · {}", format::bytes(bytes)),
                (true, Some(bytes)) => format::bytes(bytes),
                (_, None) => kind,
            };
            ui.label(RichText::new(about).font(theme::small()).color(cx.theme.third)).on_hover_text(&link.content_type);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                let (text, colour) = if link.error_message.is_empty() {
                    (name.clone(), cx.theme.text)
                } else {
                    (link.error_message.clone(), cx.theme.error)
                };
                ui.add(egui::Label::new(RichText::new(&text).color(colour)).truncate()).on_hover_text(&text);
            });
        });
    });
}

/// A name for the file: what the list calls it when that is a file's name, else the address decides.
fn file_name(link: &Link) -> String {
    let plain = !link.description.contains(char::is_whitespace) && link.description.contains('.');
    if plain { link.description.clone() } else { String::new() }
}

/// `FITS`, `VOTable`, `JPEG`; the media type where it is not one of these.
fn short_type(media: &str) -> String {
    let lower = media.to_ascii_lowercase();
    for (part, word) in [
        ("content=datalink", "links"),
        ("votable", "VOTable"),
        ("fits", "FITS"),
        ("jpeg", "JPEG"),
        ("png", "PNG"),
        ("html", "page"),
        ("pdf", "PDF"),
        ("tar", "tar"),
        ("zip", "zip"),
        ("csv", "CSV"),
    ] {
        if lower.contains(part) {
            return word.into();
        }
    }
    media.split(';').next().unwrap_or(media).trim().to_owned()
}

/// What a field of a service's form holds at first.
fn first_value(param: &ServiceParam, at: Option<(f64, f64)>) -> String {
    // One arcmin around the row is what most want to see first.
    const RADIUS_DEG: f64 = 1.0 / 60.0;
    let Some((ra, dec)) = at else { return String::new() };
    let circle = format!("{ra:.6} {dec:.6} {RADIUS_DEG:.5}");
    match param.name.to_ascii_uppercase().as_str() {
        "CIRCLE" => circle,
        "POS" => format!("CIRCLE {circle}"),
        _ => String::new(),
    }
}

/// The corners of a square around a place, as POLYGON takes them; `side_deg` on the sky.
fn square((ra, dec): (f64, f64), side_deg: f64) -> String {
    let half = side_deg / 2.0;
    let wide = half / dec.to_radians().cos().max(1e-6);
    [(-wide, -half), (wide, -half), (wide, half), (-wide, half)]
        .map(|(x, y)| format!("{:.6} {:.6}", (ra + x).rem_euclid(360.0), (dec + y).clamp(-90.0, 90.0)))
        .join(" ")
}

fn parameter(ui: &mut Ui, cx: &Cx<'_>, param: &ServiceParam, text: &mut String, at: Option<(f64, f64)>) {
    let range = match (&param.min, &param.max) {
        (Some(min), Some(max)) => format!("{min} … {max}"),
        (Some(min), None) => format!("from {min}"),
        (None, Some(max)) => format!("to {max}"),
        _ => String::new(),
    };
    let unit = if param.unit.is_empty() { String::new() } else { format!(" [{}]", param.unit) };
    let help = format!("{}{unit}{}", param.description, if range.is_empty() { String::new() } else { format!("\n{range}") });
    kit::row(ui, cx.theme, &param.name, help.trim(), |ui| {
        if !param.options.is_empty() {
            let shown = if text.is_empty() { "not sent".to_owned() } else { text.clone() };
            egui::ComboBox::from_id_salt(&param.name).selected_text(shown).show_ui(ui, |ui| {
                ui.selectable_value(text, String::new(), "not sent");
                for option in &param.options {
                    ui.selectable_value(text, option.clone(), option);
                }
            });
            return;
        }
        let hint = match param.name.to_ascii_uppercase().as_str() {
            "CIRCLE" => "right ascension, declination, radius; degrees".to_owned(),
            "POLYGON" => "corners, right ascension and declination by turns; degrees".into(),
            "BAND" => format!("from to{}", if unit.is_empty() { ", metres".into() } else { unit.clone() }),
            "TIME" => "from to, MJD".into(),
            _ if !range.is_empty() => range.clone(),
            _ => param.xtype.clone(),
        };
        let at = at.filter(|_| param.name.eq_ignore_ascii_case("POLYGON") && text.is_empty());
        kit::right(ui, |ui| {
            if let Some(at) = at {
                let help = "A square of 2 arcmin around the row, to change as you like";
                if kit::word(ui, cx.theme, "Square").on_hover_text(help).clicked() {
                    *text = square(at, 2.0 / 60.0);
                }
            }
            kit::text(ui, cx.theme, text, &hint);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_names_are_short() {
        assert_eq!(short_type("application/x-votable+xml;content=datalink"), "links");
        assert_eq!(short_type("image/fits"), "FITS");
        assert_eq!(short_type("text/x-odd; a=b"), "text/x-odd");
        let link = Link { description: "hst_1_drz.fits".into(), ..Link::default() };
        assert_eq!(file_name(&link), "hst_1_drz.fits");
        assert_eq!(file_name(&Link { description: "The full set. All.".into(), ..Link::default() }), "");
    }

    #[test]
    fn a_square_keeps_its_side_on_the_sky() {
        let text = square((10.0, 60.0), 0.2);
        let v: Vec<f64> = text.split(' ').map(|t| t.parse().unwrap_or(f64::NAN)).collect();
        assert!((v[2] - v[0] - 0.4).abs() < 1e-5 && (v[5] - v[1] - 0.2).abs() < 1e-5, "{text}");
    }
}
