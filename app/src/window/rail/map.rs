//! Step 3: maps: method and parameters, the one being computed, those that are there, clusters.

use asterism_session::reduce::{self, Method, Params, Start};
use asterism_session::{ClusterOn, Command, Map, Outliers};
use egui::{Align2, Sense, Ui, WidgetInfo, pos2, vec2};

use super::{Rail, kit};
use crate::panes::maps::{about, figure, how};
use crate::theme::{self, Theme};
use crate::window::actions::Action;

/// Memory of a map from which on it is told, bytes.
const TOLD: u64 = 1_000_000_000;

/// Draw the step.
pub fn show(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let Some(dataset) = rail.session.doc().dataset().cloned() else {
        kit::note(ui, theme.third, "A map lays rows side by side that are alike. Search first.");
        return;
    };
    let running: Vec<_> =
        rail.session.jobs().iter().filter(|j| j.alive() && j.is_map && j.dataset == dataset.id).cloned().collect();
    for job in &running {
        super::job_row(rail, ui, job);
    }
    maps(rail, ui, &dataset.maps, dataset.current_map);
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
        ui.spacing_mut().button_padding.x = 7.0;
        let help = [
            (
                Method::Tsne,
                "t-SNE",
                "Neighbours stay neighbours: islands are real, the distances between them and their sizes mean little.",
            ),
            (
                Method::Umap,
                "UMAP",
                "Neighbours stay neighbours, groups are drawn tight and apart: quicker than t-SNE, a little less faithful nearby.",
            ),
            (Method::Pacmap, "PaCMAP", "Between UMAP and PCA: keeps more of how groups lie to each other."),
            (Method::Pca, "PCA", "The directions of largest variance. Linear, exact, at once; distances keep their meaning."),
            (
                Method::Autoencoder,
                "Autoencoder",
                "A network learns the way to a few numbers and back. New rows find their place at once.",
            ),
        ];
        for (method, name, help) in help {
            if ui.selectable_label(rail.state.params.method == method, name).on_hover_text(help).clicked() {
                rail.state.params.method = method;
            }
        }
    });
    ui.add_space(2.0);
    let state = &mut *rail.state;
    parameters(ui, theme, &mut state.params, &mut state.layers);
    ui.add_space(4.0);
    let dims = super::features::dims(rail);
    let wanted = params(rail.state);
    let needs = reduce::memory(dataset.table.rows(), dims.max(1), &wanted);
    let mut fits = true;
    if needs > TOLD {
        // What is free is read from the system: once a second is enough.
        let (now, id) = (ui.input(|i| i.time), ui.scope_id().with("memory that is free"));
        let kept = ui.data(|d| d.get_temp::<(f64, u64, bool)>(id));
        fits = match kept.filter(|(at, of, _)| *of == needs && (0.0..1.0).contains(&(now - at))) {
            Some((.., fits)) => fits,
            None => {
                let fits = reduce::fits(dataset.table.rows(), dims.max(1), &wanted, 0).is_ok();
                ui.data_mut(|d| d.insert_temp(id, (now, needs, fits)));
                fits
            }
        };
        let size = crate::widgets::format::bytes(needs);
        if fits {
            kit::note(ui, theme.third, format!("Takes about {size} of memory."));
        } else {
            let text = format!(
                "It would take about {size}, more than is free. A smaller perplexity, fewer rows, UMAP or PCA take less."
            );
            kit::note(ui, theme.warning, text);
        }
    }
    ui.horizontal(|ui| {
        let can = dataset.table.rows() > 0 && fits;
        if kit::primary(ui, theme, "Start map", can)
            .on_hover_text("Compute it in the background; the scatter moves while it is computed  (Ctrl+M)")
            .clicked()
        {
            rail.actions.push(Action::StartMap);
        }
        // While a map is computed, other parameters can be given to it.
        // How many iterations it does and when it ends is another matter.
        let open = |p: Params| Params { iterations: 0, settle: false, ..p };
        let set = open(params(rail.state));
        let other = running.iter().find(|j| j.params().is_some_and(|p| open(p) != set));
        if let Some(job) = other
            && kit::button(ui, "Change", true)
                .on_hover_text(
                    "Let the map being computed go on with these parameters: t-SNE from where it is, others from their start",
                )
                .clicked()
        {
            rail.commands.push(Command::ChangeMap { id: job.id, params: params(rail.state) });
        }
        let goes_on = dataset.map().is_some_and(|m| m.params.method == Method::Tsne) && rail.state.params.method == Method::Tsne;
        if goes_on
            && running.is_empty()
            && kit::button(ui, "Go on", true)
                .on_hover_text("Let the map in front go on from where it is for 250 iterations, with these parameters")
                .clicked()
        {
            let params = Params { iterations: 250, settle: false, ..params(rail.state) };
            rail.commands.push(Command::GoOn { params });
        }
        kit::right(ui, |ui| rail.recipe_word(ui, 2));
    });
    clusters(rail, ui, dataset.map().is_some());
}

fn parameters(ui: &mut Ui, theme: &Theme, p: &mut Params, layers: &mut String) {
    let drag = |ui: &mut Ui, label: &str, help: &str, add: &mut dyn FnMut(&mut Ui)| {
        kit::row(ui, theme, label, help, add);
    };
    match p.method {
        Method::Tsne => {
            drag(
                ui,
                "Perplexity",
                "About how many neighbours each row looks at. Small shows fine structure, large the whole. Default: 30",
                &mut |ui| {
                    ui.add(egui::DragValue::new(&mut p.perplexity).range(2.0..=500.0).speed(0.5).max_decimals(0));
                },
            );
            let help = "Steps of the descent; 0 for automatic: 500, more for few and for very many rows. Default: 500";
            drag(ui, "Iterations", help, &mut |ui| {
                let shown =
                    |n: f64, _: std::ops::RangeInclusive<usize>| if n < 1.0 { "automatic".into() } else { format!("{n:.0}") };
                ui.add(egui::DragValue::new(&mut p.iterations).range(0..=5000).speed(10).custom_formatter(shown));
            });
            drag(
                ui,
                "Exaggeration",
                "Above 1 draws islands tight after the early phase, at the price of each row's nearest neighbours. Default: 1",
                &mut |ui| {
                    ui.add(egui::DragValue::new(&mut p.exaggeration).range(1.0..=12.0).speed(0.05).max_decimals(1));
                },
            );
            drag(
                ui,
                "First PCA to",
                "With more dimensions than this, that many principal components are taken first; 0 for never. Default: 50",
                &mut |ui| {
                    ui.add(egui::DragValue::new(&mut p.pca_dims).range(0..=500));
                },
            );
        }
        Method::Umap | Method::Pacmap => {
            let few = if p.method == Method::Umap { "15" } else { "10" };
            let help =
                format!("How many neighbours of each row count: few show fine structure, many the whole. Automatic: {few}");
            drag(ui, "Neighbours", &help, &mut |ui| {
                let shown =
                    |n: f64, _: std::ops::RangeInclusive<usize>| if n < 1.0 { "automatic".into() } else { format!("{n:.0}") };
                ui.add(egui::DragValue::new(&mut p.neighbours).range(0..=200).speed(0.2).custom_formatter(shown));
            });
            if p.method == Method::Umap {
                drag(ui, "Least apart", "How close together rows may lie: small draws groups tight. Default: 0.1", &mut |ui| {
                    ui.add(egui::DragValue::new(&mut p.min_dist).range(0.001..=1.0).speed(0.005).max_decimals(3));
                });
                drag(ui, "Epochs", "Passes of the layout; 0 for 500, or 200 above 10,000 rows. Default: 0", &mut |ui| {
                    ui.add(egui::DragValue::new(&mut p.epochs).range(0..=5000).speed(5));
                });
            }
            let help = "With more dimensions than this, that many principal components are taken first; 0 for never. Default: 50";
            drag(ui, "First PCA to", help, &mut |ui| {
                ui.add(egui::DragValue::new(&mut p.pca_dims).range(0..=500));
            });
        }
        Method::Pca => {
            drag(ui, "Components", "How many are kept; the first two are shown. Default: 2", &mut |ui| {
                ui.add(egui::DragValue::new(&mut p.dims).range(2..=50));
            });
        }
        Method::Autoencoder => {
            drag(ui, "Latent", "Numbers in the middle; the first two are shown. Default: 2", &mut |ui| {
                ui.add(egui::DragValue::new(&mut p.dims).range(2..=50));
            });
            drag(ui, "Layers", "Widths of the hidden layers, outermost first. Default: 256, 64", &mut |ui| {
                kit::text(ui, theme, layers, "256, 64");
            });
            let help = "Every row becomes a cloud, and the map is their middles: smoother, with no holes to walk through (Kingma and \
                        Welling 2013). Default: off";
            drag(ui, "Variational", help, &mut |ui| {
                ui.checkbox(&mut p.variational, "");
                if p.variational {
                    let beta = egui::DragValue::new(&mut p.beta).range(0.0..=1000.0).speed(0.05).prefix("beta ");
                    ui.add(beta).on_hover_text("Weight of the clouds' information: more makes smoother maps. Default: 1");
                }
            });
            drag(ui, "Epochs", "Passes over the rows; 0 for as many as take 10 to 30 s. Default: 0", &mut |ui| {
                ui.add(egui::DragValue::new(&mut p.epochs).range(0..=100_000).speed(5));
            });
        }
    }
    if matches!(p.method, Method::Tsne | Method::Umap | Method::Pacmap) {
        let help = "Of the map: a plane, or a space that is turned with the mouse. Default: 2";
        drag(ui, "Dimensions", help, &mut |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for dims in [2, 3] {
                if ui.selectable_label(plane_or_space(p.dims) == dims, dims.to_string()).clicked() {
                    p.dims = dims;
                }
            }
        });
    }
    if matches!(p.method, Method::Tsne | Method::Umap) && fold(ui, theme, "More parameters") {
        more(ui, theme, p);
    }
    drag(ui, "Seed", "Makes every random choice: the same seed gives the same map. Default: 0", &mut |ui| {
        ui.add(egui::DragValue::new(&mut p.seed));
    });
}

/// What is seldom touched.
fn more(ui: &mut Ui, theme: &Theme, p: &mut Params) {
    if p.method == Method::Umap {
        let help = "Where the layout starts: from the principal components, or from the slowest vectors of the neighbour graph as \
                    umap-learn does. Default: components";
        kit::row(ui, theme, "Start", help, |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for (start, name) in [(Start::Pca, "components"), (Start::Spectral, "spectral")] {
                if ui.selectable_label(p.start == start, name).clicked() {
                    p.start = start;
                }
            }
        });
        return;
    }
    let help = "Look at a wider surrounding too: the mean of this perplexity and of a hundredth of the rows. Slower, and keeps more of \
                the whole. Default: off";
    kit::row(ui, theme, "Wider view", help, |ui| ui.checkbox(&mut p.multiscale, ""));
    let help = "End before the last iteration once the map hardly improves: less than half a per cent in 50 iterations, twice in a \
                row. Default: on";
    kit::row(ui, theme, "Stop early", help, |ui| ui.checkbox(&mut p.settle, ""));
    let help = "How much of each step goes on in the next. Above 0.95 is quicker and less steady; 0 for automatic: 0.95, less for a few thousand rows. Default: automatic";
    kit::row(ui, theme, "Momentum", help, |ui| {
        let shown = |m: f64, _: std::ops::RangeInclusive<usize>| if m == 0.0 { "automatic".into() } else { format!("{m:.2}") };
        ui.add(egui::DragValue::new(&mut p.momentum).range(0.0..=0.99).speed(0.005).custom_formatter(shown));
    });
}

/// Dimensions of a map by neighbours: 3 where they were asked for, else 2, whatever the number of components was.
fn plane_or_space(dims: usize) -> usize {
    if dims == 3 { 3 } else { 2 }
}

/// The parameters as they were typed.
pub fn params(state: &super::State) -> Params {
    let mut p = state.params.clone();
    if matches!(p.method, Method::Tsne | Method::Umap | Method::Pacmap) {
        p.dims = plane_or_space(p.dims);
    }
    let layers: Vec<usize> = state.layers.split([',', ' ']).filter_map(|w| w.trim().parse().ok()).filter(|n| *n > 0).collect();
    if !layers.is_empty() {
        p.layers = layers;
    }
    p
}

fn name_of(method: Method) -> &'static str {
    asterism_session::session::method_label(method)
}

fn maps(rail: &mut Rail<'_>, ui: &mut Ui, maps: &[std::sync::Arc<Map>], current: Option<u32>) {
    let theme = rail.theme;
    for map in maps {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), theme::ROW_HEIGHT), Sense::click());
        response
            .widget_info(|| WidgetInfo::selected(egui::Role::Button, true, current == Some(map.id), format!("Map {}", map.name)));
        let front = current == Some(map.id);
        let over = ui.rect_contains_pointer(rect);
        if over || response.has_focus() {
            ui.painter().rect_filled(rect.expand2(vec2(6.0, 0.0)), 4.0, theme.hovered);
        }
        let y = rect.center().y;
        let font = if front { theme::semibold(theme::BODY) } else { theme::body() };
        let colour = if front { theme.text } else { theme.second };
        ui.painter().text(pos2(rect.left(), y), Align2::LEFT_CENTER, name_of(map.params.method), font, colour);
        let how = if map.complete { how(map) } else { format!("{}, stopped", how(map)) };
        let figure = if over { String::new() } else { figure(map) };
        let figure_width = ui.painter().layout_no_wrap(figure.clone(), theme::body(), theme.third).size().x;
        let how_left = rect.left() + kit::LABEL_PT + 4.0;
        let room = rect.right() - how_left - figure_width.max(18.0) - 8.0;
        let galley = kit::elided(ui, &how, theme::body(), colour, room.max(0.0));
        ui.painter().galley(pos2(how_left, y - galley.size().y / 2.0), galley, colour);
        let mut deleted = false;
        if over {
            let cross = egui::Rect::from_center_size(pos2(rect.right() - 8.0, y), vec2(18.0, 18.0));
            let close = ui.interact(cross, response.id.with("delete"), Sense::click());
            close.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("Delete map {}", map.name)));
            kit::draw_cross(ui.painter(), cross, if close.hovered() { theme.text } else { theme.third });
            if close.clicked() {
                rail.commands.push(Command::DeleteMap { id: map.id });
                deleted = true;
            }
        } else {
            ui.painter().text(pos2(rect.right(), y), Align2::RIGHT_CENTER, figure, theme::body(), theme.third);
        }
        if response.clicked() && !deleted {
            rail.commands.push(Command::ShowMap { id: map.id });
        }
        response.context_menu(|ui| {
            if ui.button("Show").clicked() {
                rail.commands.push(Command::ShowMap { id: map.id });
            }
            if ui.button("Use its parameters again").clicked() {
                rail.state.params = map.params.clone();
                rail.state.layers = map.params.layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            }
            if ui.button("Delete").clicked() {
                rail.commands.push(Command::DeleteMap { id: map.id });
            }
        });
        response.on_hover_ui(|ui| about(ui, theme, map));
    }
}

/// A line that folds open what stands below it; whether it is open.
fn fold(ui: &mut Ui, theme: &Theme, name: &str) -> bool {
    let id = ui.make_persistent_id(name);
    let mut open = ui.data_mut(|d| *d.get_temp_mut_or(id, false));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::DisclosureTriangle, true, name));
    kit::chevron(ui, pos2(rect.left() + 4.0, rect.center().y), open, theme.third);
    let colour = if response.hovered() { theme.text } else { theme.second };
    ui.painter().text(pos2(rect.left() + 14.0, rect.center().y), Align2::LEFT_CENTER, name, theme::body(), colour);
    if response.clicked() {
        open = !open;
        ui.data_mut(|d| d.insert_temp(id, open));
    }
    open
}

fn clusters(rail: &mut Rail<'_>, ui: &mut Ui, has_map: bool) {
    let theme = rail.theme;
    ui.add_space(4.0);
    if !fold(ui, theme, "Clusters") {
        return;
    }
    let on_map = rail.state.on_map && has_map;
    kit::row(ui, theme, "Of", "Clusters become coloured subsets", |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if ui.selectable_label(!on_map, "vectors").on_hover_text("In all dimensions of the features").clicked() {
            rail.state.on_map = false;
        }
        if ui.add_enabled(has_map, egui::Button::selectable(on_map, "the map")).on_hover_text("On the map in front").clicked() {
            rail.state.on_map = true;
        }
    });
    let on = if on_map { ClusterOn::Map } else { ClusterOn::Vectors };
    kit::row(ui, theme, "Clusters", "Number of clusters of k-means. Default: 6", |ui| {
        ui.add(egui::DragValue::new(&mut rail.state.k).range(2..=64));
        kit::right(ui, |ui| {
            if kit::button(ui, "k-means", true).on_hover_text("Every row belongs to the nearest of k centres").clicked() {
                rail.commands.push(Command::KMeans { k: rail.state.k, on });
            }
        });
    });
    kit::row(ui, theme, "Parts", "Parts of a Gaussian mixture; automatic: as many as the BIC likes best, up to 12", |ui| {
        let shown = |n: f64, _: std::ops::RangeInclusive<usize>| if n < 1.0 { "automatic".into() } else { format!("{n:.0}") };
        ui.add(egui::DragValue::new(&mut rail.state.parts).range(0..=64).speed(0.1).custom_formatter(shown));
        kit::right(ui, |ui| {
            if kit::button(ui, "Mixture", true)
                .on_hover_text("Overlapping clouds of any shape; every row belongs to one")
                .clicked()
            {
                rail.commands.push(Command::Mixture { k: rail.state.parts, on });
            }
        });
    });
    kit::row(
        ui,
        theme,
        "Smallest",
        "Rows that make a cluster of HDBSCAN; rows that belong to none stay outside. Once found, the clusters follow the slider. Default: 15",
        |ui| {
            ui.spacing_mut().slider_width = 96.0;
            let most = rail.session.doc().dataset().map_or(100, |d| (d.table.rows() / 4).clamp(20, 100_000));
            let slider = egui::Slider::new(&mut rail.state.min_size, 2..=most).logarithmic(true);
            let moved = ui.add(slider).accessible_name("Smallest cluster of HDBSCAN");
            // The tree is there: cutting it elsewhere takes no time.
            let tree = rail.session.density_samples(on);
            let cuts = tree.filter(|_| moved.drag_stopped() || (moved.changed() && !moved.dragged()));
            let min_cluster_size = rail.state.min_size;
            if let Some(min_samples) = cuts {
                rail.commands.push(Command::Hdbscan { min_cluster_size, min_samples, on });
            }
        },
    );
    kit::row(
        ui,
        theme,
        "Core",
        "HDBSCAN: neighbours that make a place dense (min_samples); automatic: as many as the smallest cluster. More leaves more rows outside",
        |ui| {
            let shown = |n: f64, _: std::ops::RangeInclusive<usize>| if n < 1.0 { "automatic".into() } else { format!("{n:.0}") };
            ui.add(egui::DragValue::new(&mut rail.state.min_samples).range(0..=1_000).speed(0.1).custom_formatter(shown));
            kit::right(ui, |ui| {
                if kit::button(ui, "HDBSCAN", true).on_hover_text("Dense regions at every scale; outliers stay outside").clicked()
                {
                    let (min_cluster_size, min_samples) = (rail.state.min_size, rail.state.min_samples);
                    rail.commands.push(Command::Hdbscan { min_cluster_size, min_samples, on });
                }
            });
        },
    );
    kit::row(ui, theme, "Outliers", "How odd each row is, as a column to colour by and to sort by", |ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (how, name) in [(Outliers::Lof, "Local factor"), (Outliers::Forest, "Forest")] {
            if kit::button(ui, name, true).on_hover_text(format!("{}: {}", how.label(), how.description())).clicked() {
                rail.commands.push(Command::ScoreOutliers { how, on });
            }
        }
    });
}
