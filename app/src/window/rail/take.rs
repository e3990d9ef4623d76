//! Step 6: rows, products, picture, session and recipe as files.

use asterism_data::Serialization;
use asterism_session::{Command, ExportRows, products};
use egui::{Ui, vec2};

use super::{Rail, kit};
use crate::window::actions::{Action, FORMATS};

/// The ways in which the rows of a VOTable can be written.
fn serialisations(ui: &mut Ui, rows: ExportRows, actions: &mut Vec<Action>) {
    for how in Serialization::ALL {
        let about = match how {
            Serialization::Binary2 => "Every blank, NaN and long integer comes back as it was; VOTable 1.3 and later",
            Serialization::TableData => "XML that can be read by eye, about three times as large; blanks and NaN become one",
            Serialization::Binary => {
                "For programs older than VOTable 1.3; a value that is not in the column stands for a blank integer"
            }
            Serialization::Fits => "A FITS table inside the document, for programs that read FITS; text beyond ASCII is escaped",
        };
        if ui.button(format!("{}…", how.name())).on_hover_text(about).clicked() {
            actions.push(Action::ExportVotable(rows, how));
            ui.close();
        }
    }
}

/// Draw the step.
pub fn show(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let doc = rail.session.doc();
    let Some(dataset) = doc.dataset().cloned() else {
        kit::note(ui, theme.third, "What you found leaves from here: rows, products, pictures, a recipe.");
        return;
    };
    let subset_gone = matches!(rail.state.rows, ExportRows::Subset(id) if dataset.subset(id).is_none());
    if subset_gone {
        rail.state.rows = ExportRows::Selection;
    }
    let label = |rows: ExportRows| match rows {
        ExportRows::All => format!("all {} rows", kit::thousands(dataset.table.rows())),
        ExportRows::Selection => format!("the selection, {}", kit::thousands(doc.selection.rows.count())),
        ExportRows::Subset(id) => {
            dataset.subset(id).map_or_else(String::new, |s| format!("{}, {}", s.name, kit::thousands(s.rows.count())))
        }
    };
    kit::row(ui, theme, "Rows", "Which rows leave", |ui| {
        egui::ComboBox::from_id_salt("rows")
            .selected_text(label(rail.state.rows))
            .width(ui.available_width())
            .truncate()
            .show_ui(ui, |ui| {
                let all = [ExportRows::Selection, ExportRows::All]
                    .into_iter()
                    .chain(dataset.subsets.iter().map(|s| ExportRows::Subset(s.id)));
                for rows in all {
                    ui.selectable_value(&mut rail.state.rows, rows, label(rows));
                }
            });
    });
    let rows = rail.state.rows;
    let any = match rows {
        ExportRows::Selection => doc.selection.any(),
        _ => dataset.table.rows() > 0,
    };
    if !any && rows == ExportRows::Selection && dataset.table.rows() > 0 {
        ui.horizontal(|ui| {
            kit::note(ui, theme.third, "Nothing is selected.");
            if kit::word(ui, theme, "Take all rows").clicked() {
                rail.state.rows = ExportRows::All;
            }
        });
    }
    let listed = products::obsid_column(&dataset.table).is_some();
    let mut line = |ui: &mut Ui, name: &str, help: &str, body: &mut dyn FnMut(&mut Ui, &mut Vec<Action>)| {
        ui.horizontal_top(|ui| {
            let (rect, response) = ui.allocate_exact_size(vec2(58.0, 26.0), egui::Sense::hover());
            ui.painter().text(rect.left_center(), egui::Align2::LEFT_CENTER, name, crate::theme::body(), theme.second);
            response.on_hover_text(help);
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.spacing_mut().button_padding.x = 6.0;
            // What does not fit stands below the first button, not below the word.
            ui.vertical(|ui| ui.horizontal_wrapped(|ui| body(ui, rail.actions)));
        });
        ui.add_space(2.0);
    };
    line(ui, "Table", "With units, UCDs and descriptions, as far as the format has a place for them", &mut |ui, actions| {
        ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
        ui.spacing_mut().button_padding.x = 4.0;
        for (name, ending) in FORMATS {
            let button = kit::button(ui, name, any);
            if button.clicked() {
                actions.push(Action::Export(rows, ending));
            }
            if ending == "vot" {
                button.on_hover_text("As BINARY2").context_menu(|ui| serialisations(ui, rows, actions));
                let more = kit::caret(ui, theme, "Ways to write a VOTable", any).on_hover_text("Other ways to write its rows");
                egui::Popup::menu(&more).show(|ui| serialisations(ui, rows, actions));
            }
        }
    });
    line(ui, "Products", "Addresses of the files behind the rows", &mut |ui, actions| {
        if listed
            && kit::button(ui, "Show", any)
                .on_hover_text("The files behind these observations as a table: type, size, rights, address")
                .clicked()
        {
            actions.push(Action::Do(Command::ListProducts { rows }));
        }
        if kit::button(ui, "Download…", any)
            .on_hover_text("Into a folder that you choose, several at once; a download that was broken off goes on where it was")
            .clicked()
        {
            actions.push(Action::Download(rows));
        }
        if kit::button(ui, "List", any).on_hover_text("One address a line").clicked() {
            actions.push(Action::ExportProducts(rows, "txt"));
        }
        if kit::button(ui, "Script", any).on_hover_text("A shell script that downloads them").clicked() {
            actions.push(Action::ExportProducts(rows, "sh"));
        }
    });
    line(ui, "Picture", "The views as they are now", &mut |ui, actions| {
        if kit::button(ui, "PNG", true).clicked() {
            actions.push(Action::SavePicture("png"));
        }
        if kit::button(ui, "SVG", true).clicked() {
            actions.push(Action::SavePicture("svg"));
        }
        if kit::button(ui, "PDF", true).clicked() {
            actions.push(Action::SavePicture("pdf"));
        }
    });
    line(ui, "All of it", "The session opens to the same window; the recipe runs again without one", &mut |ui, actions| {
        if kit::button(ui, "Session", true).on_hover_text("Everything in the window as one file  (Ctrl+S)").clicked() {
            actions.push(Action::SaveAs);
        }
        if kit::button(ui, "Recipe", true).on_hover_text("The path so far, for `asterism run`").clicked() {
            actions.push(Action::SaveRecipe);
        }
    });
    ui.horizontal(|ui| {
        if kit::word(ui, theme, "Copy the whole recipe").clicked() {
            rail.actions.push(Action::CopyRecipe);
        }
        kit::right(ui, |ui| rail.recipe_word(ui, 5));
    });
    if !dataset.credit.is_empty() {
        ui.add_space(4.0);
        kit::note(ui, theme.third, format!("Please thank: {}", dataset.credit));
    }
}
