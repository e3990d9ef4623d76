//! Many curves on one grid as a picture: spectra, or folded light curves, of everything in grey and of groups in their colours.
//!
//! Three ways to see them: the median with the band of 16 to 84 %, the same with the band of 5 to 95 % around it, and how many lines
//! pass each pixel ([`asterism_render::ensemble`]). Percentiles and densities are made in named threads, once for each new selection
//! or view; of a new selection a few curves are taken at once, so that it shows in its own frame and a lasso is followed while it is
//! drawn. A density stays where its data are until the one of a new view is there. Choice not taken: drawing thousands of lines
//! through egui, which tessellates each on the CPU every frame. Cost: see `docs/benchmarks.md`; memory 4 B a sample and a picture.

use std::sync::Arc;

use asterism_data::RowSet;
use asterism_render::decimate::m4;
use asterism_render::ensemble::{LineDensity, percentiles_of};
use asterism_render::view::View;
use asterism_session::{Dataset, Document};
use egui::epaint::{BandPoint, BandShape};
use egui::{Color32, ColorImage, FontId, Painter, Rect, RichText, Stroke, TextureHandle, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::rows::colour_of;
use crate::cx::Drawing;
use crate::theme::{SMALL, Theme};
use crate::widgets::{Frame, Range2, Work, format};

/// Samples of a first stack or picture, which is made within the frame: a few milliseconds.
const FIRST_SAMPLES: usize = 200_000;
/// Below the median, and above it: edges of the outer band, of the inner, the median in the middle.
const SHARES: [f64; 5] = [0.05, 0.16, 0.5, 0.84, 0.95];
/// Groups shown at most.
const GROUPS: usize = 8;
/// How much of its colour the rarest pixel of a density has; the commonest has all.
const FAINTEST: f32 = 0.08;
/// Exponent of a pixel's share of the most lines in one: below 1, so that rare lines stay in sight.
const GAMMA: f32 = 0.45;

/// How curves are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Show {
    /// Median and 16–84 %.
    #[default]
    Stack,
    /// Median, 16–84 % and 5–95 %.
    Bands,
    /// How many lines pass each pixel, under the median.
    Density,
}

impl Show {
    /// All, in the order of a menu.
    pub const ALL: [Self; 3] = [Self::Stack, Self::Bands, Self::Density];

    /// Name in a menu.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Bands => "bands",
            Self::Density => "density",
        }
    }

    /// What it is, for a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Stack => "median and 16–84 %",
            Self::Bands => "median, 16–84 % and 5–95 %",
            Self::Density => "line density and median",
        }
    }
}

/// The menu that chooses among them.
pub fn menu(ui: &mut Ui, theme: &Theme, show: &mut Show) {
    ui.menu_button(RichText::new(show.name()).color(theme.second), |ui| {
        ui.set_min_width(230.0);
        for other in Show::ALL {
            if ui.selectable_label(*show == other, format!("{}: {}", other.name(), other.title())).clicked() {
                *show = other;
                ui.close();
            }
        }
    })
    .response
    .on_hover_text("How many curves are drawn as one: median with bands, or how many lines pass each pixel");
}

/// Curves of some rows on one grid.
pub struct Curves {
    /// The grid, rising or falling.
    pub axis: Vec<f64>,
    /// Row of the table of each curve, ascending.
    pub rows: Vec<u32>,
    /// Curve by curve; NaN for no value.
    pub values: Vec<f32>,
    /// A number that no other has.
    pub key: u64,
}

impl Curves {
    /// The curve of a row, if it has one here.
    pub fn row(&self, row: u32) -> Option<&[f32]> {
        let i = self.rows.binary_search(&row).ok()?;
        self.values.get(i * self.axis.len()..(i + 1) * self.axis.len())
    }

    /// Curves whose rows are in a set.
    fn members(&self, rows: &RowSet) -> Vec<u32> {
        (0..self.rows.len() as u32).filter(|i| rows.contains(self.rows[*i as usize] as usize)).collect()
    }
}

/// Every n-th of a list, so that no more than `most` are left.
fn thinned(members: Vec<u32>, most: usize) -> Vec<u32> {
    let step = members.len().div_ceil(most.max(1)).max(1);
    members.into_iter().step_by(step).collect()
}

/// Percentiles of a group at each place of the grid.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// In the order of [`SHARES`].
    shares: Vec<Vec<f32>>,
    /// Rows of the group, and curves used.
    of: usize,
    used: usize,
}

impl Stack {
    fn new(curves: &Curves, rows: Option<&RowSet>, of: usize, most: usize) -> Self {
        let members = rows.map_or_else(|| (0..curves.rows.len() as u32).collect(), |r| curves.members(r));
        let members = thinned(members, most);
        let shares = percentiles_of(&curves.values, curves.axis.len(), Some(&members), &SHARES);
        Self { shares, of, used: members.len() }
    }
    fn median(&self) -> &[f32] {
        &self.shares[2]
    }
}

/// A group to be shown.
#[derive(Clone)]
pub struct Asked {
    /// For the legend.
    pub name: String,
    /// Its colour.
    pub colour: Color32,
    /// Its rows.
    pub rows: Arc<RowSet>,
}

/// The groups to be shown beside everything: what an outline being drawn holds, the selection, or each visible subset.
pub fn wanted(doc: &Document, dataset: &Dataset, own: Color32, by_subset: bool, drawing: Option<&Drawing>) -> Vec<Asked> {
    let one = |name: &str, rows: &Arc<RowSet>| vec![Asked { name: name.into(), colour: own, rows: rows.clone() }];
    if let Some(drawing) = drawing.filter(|d| !by_subset && !d.rows.is_empty()) {
        return one("selection", &drawing.rows);
    }
    let visible = || {
        let asked =
            |s: &Arc<asterism_session::Subset>| Asked { name: s.name.clone(), colour: colour_of(s.colour), rows: s.rows.clone() };
        dataset.subsets.iter().filter(|s| s.visible).take(GROUPS).map(asked)
    };
    if doc.selection.any() && !by_subset {
        let same = visible().find(|s| s.rows == doc.selection.rows);
        return same.map_or_else(|| one("selection", &doc.selection.rows), |s| vec![s]);
    }
    visible().collect()
}

/// What groups depend on.
#[derive(Clone, PartialEq)]
pub struct GroupsKey {
    curves: u64,
    selection: u64,
    drawing: Option<u64>,
    subsets: Vec<(usize, bool)>,
    by_subset: bool,
    dark: bool,
}

impl GroupsKey {
    /// Of the state that [`wanted`] looks at.
    pub fn of(
        curves: &Curves,
        doc: &Document,
        dataset: &Dataset,
        theme: &Theme,
        by_subset: bool,
        drawing: Option<&Drawing>,
    ) -> Self {
        Self {
            curves: curves.key,
            selection: doc.selection.generation,
            drawing: drawing.filter(|d| !by_subset && !d.rows.is_empty()).map(|d| d.key),
            subsets: dataset.subsets.iter().map(|s| (Arc::as_ptr(s) as usize, s.visible)).collect(),
            by_subset,
            dark: theme.dark,
        }
    }
}

/// A group with its stack.
pub struct Group {
    name: String,
    colour: Color32,
    stack: Stack,
}

/// A density: the picture and what it shows.
struct Picture {
    image: ColorImage,
    /// In units of the grid.
    view: Range2,
}

/// What a density depends on.
#[derive(Clone, PartialEq)]
struct PictureKey<G> {
    of: G,
    view: [u64; 4],
    px: [u32; 2],
    colours: Vec<Color32>,
}

/// The density on the screen.
struct Layer<G> {
    work: Work<PictureKey<G>, Picture>,
    texture: Option<(u64, TextureHandle)>,
}

impl<G> Default for Layer<G> {
    fn default() -> Self {
        Self { work: Work::default(), texture: None }
    }
}

/// Caches of a view of many curves.
#[derive(Default)]
pub struct Ensemble {
    all: Work<u64, Stack>,
    groups: Work<GroupsKey, Vec<Group>>,
    all_picture: Layer<u64>,
    group_picture: Layer<GroupsKey>,
    home: Option<(u64, Range2)>,
}

/// What is known of the curves in this frame.
pub struct Stacks {
    /// Of everything.
    pub all: Option<Arc<Stack>>,
    /// Of each group.
    pub groups: Option<Arc<Vec<Group>>>,
}

impl Ensemble {
    /// The stacks of everything (`total` rows) and of the groups that are wanted.
    pub fn stacks(&mut self, ui: &Ui, curves: &Arc<Curves>, total: usize, key: &GroupsKey, wanted: &[Asked]) -> Stacks {
        let of = curves.clone();
        self.all.get(ui.ctx(), "stack-all", curves.key, move || Stack::new(&of, None, total, usize::MAX));
        // Stacks of older curves would not fit this grid.
        let all = self.all.newest_for(|k| *k == curves.key);
        let (of, asked) = (curves.clone(), wanted.to_vec());
        let stacks = move |most: usize| -> Vec<Group> {
            let one = |a: &Asked| Group {
                name: a.name.clone(),
                colour: a.colour,
                stack: Stack::new(&of, Some(&a.rows), a.rows.count(), most),
            };
            asked.iter().map(one).collect()
        };
        if !self.groups.knows(key) {
            // A few of the curves now, so that a selection shows in its own frame; all of them when the thread is done.
            let first = stacks(FIRST_SAMPLES / curves.axis.len().max(1) / wanted.len().max(1));
            self.groups.put_first(key.clone(), first);
        }
        self.groups.get(ui.ctx(), "stack-groups", key.clone(), move || stacks(usize::MAX));
        let groups = self.groups.newest_for(|k| k.curves == curves.key);
        Stacks { all, groups }
    }

    /// Everything along x; along y what the medians and bands need, with the peaks of the medians. `x` is the grid as it is shown.
    pub fn home(&mut self, x: &[f64], stacks: &Stacks, show: Show, shown_key: u64) -> Range2 {
        let key = self.groups.generation() ^ self.all.generation() << 20 ^ shown_key.rotate_left(7) ^ (show as u64) << 50;
        if let Some((k, home)) = self.home
            && k == key
        {
            return home;
        }
        let (low, high) = if show == Show::Stack { (1, 3) } else { (0, 4) };
        let mut y = [f64::INFINITY, f64::NEG_INFINITY];
        let groups = stacks.groups.iter().flat_map(|g| g.iter()).map(|g| &g.stack);
        for stack in stacks.all.as_deref().into_iter().chain(groups) {
            for v in stack.median().iter().filter(|v| v.is_finite()) {
                y = [y[0].min(f64::from(*v)), y[1].max(f64::from(*v))];
            }
            let finite = |k: usize| stack.shares[k].iter().copied().filter(|v| v.is_finite()).collect::<Vec<f32>>();
            let (mut lows, mut highs) = (finite(low), finite(high));
            if !highs.is_empty() && !lows.is_empty() {
                let (h, l) = ((highs.len() - 1) * 99 / 100, (lows.len() - 1) / 100);
                y[1] = y[1].max(f64::from(*highs.select_nth_unstable_by(h, f32::total_cmp).1));
                y[0] = y[0].min(f64::from(*lows.select_nth_unstable_by(l, f32::total_cmp).1));
            }
        }
        let ends = |[a, b]: [f64; 2], v: f64| [a.min(v), b.max(v)];
        let x = x.iter().copied().filter(|v| v.is_finite()).fold([f64::INFINITY, f64::NEG_INFINITY], ends);
        if x[0] > x[1] {
            return Range2 { x: [0.0, 1.0], y: [0.0, 1.0] };
        }
        let y = if y[0] > y[1] { [0.0, 1.0] } else { y };
        let home = Range2 { x, y: Range2::around([0.0, 1.0], y).y };
        self.home = Some((key, home));
        home
    }

    /// Draw everything and the groups. `x` is the grid as it is shown, `factor` what its values were multiplied by for that.
    pub fn paint(
        &mut self,
        ui: &Ui,
        theme: &Theme,
        frame: &Frame,
        curves: &Arc<Curves>,
        x: &[f64],
        factor: f64,
        show: Show,
        stacks: &Stacks,
        key: &GroupsKey,
        wanted: &[Asked],
    ) {
        let painter = ui.painter_at(frame.rect);
        let groups = || stacks.groups.iter().flat_map(|g| g.iter());
        if show != Show::Density {
            for (stack, colour) in
                stacks.all.as_deref().map(|s| (s, theme.context)).into_iter().chain(groups().map(|g| (&g.stack, g.colour)))
            {
                if show == Show::Bands {
                    band(&painter, frame, x, [&stack.shares[0], &stack.shares[4]], colour.gamma_multiply(0.16));
                }
                band(&painter, frame, x, [&stack.shares[1], &stack.shares[3]], colour.gamma_multiply(0.3));
                line(&painter, frame, x, stack.median(), Stroke::new(1.3, colour));
            }
            return;
        }
        let ppp = painter.pixels_per_point();
        let px = [frame.rect.width(), frame.rect.height()].map(|v| ((v * ppp).round() as u32).clamp(1, 4096));
        let view = Range2 { x: frame.view.x.map(|v| v / factor), y: frame.view.y };
        let bits = [view.x[0], view.x[1], view.y[0], view.y[1]].map(f64::to_bits);
        // Alone it may be as bright as a group.
        let grey = if wanted.is_empty() { theme.second } else { theme.context };
        let everything = [(grey, None)];
        let of = PictureKey { of: curves.key, view: bits, px, colours: vec![grey] };
        let here = curves.clone();
        self.all_picture.work.get(ui.ctx(), "density-all", of, move || picture(&here, &everything, view, px, usize::MAX));
        self.all_picture.paint(ui, &painter, frame, factor, |k| *k == curves.key);
        let asked: Vec<(Color32, Option<Arc<RowSet>>)> = wanted.iter().map(|a| (a.colour, Some(a.rows.clone()))).collect();
        let of = PictureKey { of: key.clone(), view: bits, px, colours: wanted.iter().map(|a| a.colour).collect() };
        let known = self.group_picture.work.newest_for(|k| k.of == *key).is_some();
        if !known {
            let most = FIRST_SAMPLES / curves.axis.len().max(1) / wanted.len().max(1);
            self.group_picture.work.put_first(of.clone(), picture(curves, &asked, view, px, most));
        }
        let here = curves.clone();
        self.group_picture.work.get(ui.ctx(), "density-groups", of, move || picture(&here, &asked, view, px, usize::MAX));
        self.group_picture.paint(ui, &painter, frame, factor, |k| k.curves == curves.key);
        // Over a crowd of its own colour a line needs an edge.
        let all = stacks.all.as_deref().filter(|_| wanted.is_empty()).map(|s| (s, theme.text));
        for (stack, colour) in all.into_iter().chain(groups().map(|g| (&g.stack, g.colour))) {
            line(&painter, frame, x, stack.median(), Stroke::new(3.0, theme.pane.gamma_multiply(0.6)));
            line(&painter, frame, x, stack.median(), Stroke::new(1.2, colour.lerp_to_gamma(theme.text, 0.5)));
        }
    }
}

impl<G: PartialEq> Layer<G> {
    /// Lay the newest picture where its data are.
    fn paint(&mut self, ui: &Ui, painter: &Painter, frame: &Frame, factor: f64, will_do: impl Fn(&G) -> bool)
    where
        G: Clone,
    {
        let Some(picture) = self.work.newest_for(|k| will_do(&k.of)) else { return };
        let generation = self.work.generation();
        if self.texture.as_ref().is_none_or(|(g, _)| *g != generation) {
            let options = egui::TextureOptions { magnification: egui::TextureFilter::Nearest, ..egui::TextureOptions::LINEAR };
            match &mut self.texture {
                Some((g, texture)) => {
                    texture.set(picture.image.clone(), options);
                    *g = generation;
                }
                None => self.texture = Some((generation, ui.ctx().load_texture("line density", picture.image.clone(), options))),
            }
        }
        if let Some((_, texture)) = &self.texture {
            let a = frame.pt_from_data([picture.view.x[0] * factor, picture.view.y[1]]);
            let b = frame.pt_from_data([picture.view.x[1] * factor, picture.view.y[0]]);
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture.id(), Rect::from_min_max(a, b), whole, Color32::WHITE);
        }
    }
}

/// How many lines of each group pass each pixel, the groups one over the other, each on a scale of its own.
fn picture(curves: &Curves, groups: &[(Color32, Option<Arc<RowSet>>)], view: Range2, px: [u32; 2], most: usize) -> Picture {
    let window = View { x: view.x, y: view.y, px };
    let mut pixels = vec![Color32::TRANSPARENT; px[0] as usize * px[1] as usize];
    for (colour, rows) in groups {
        let members = rows.as_ref().map(|r| thinned(curves.members(r), most));
        let density = LineDensity::of(&curves.axis, &curves.values, members.as_deref(), &window);
        let highest = density.counts.iter().copied().max().unwrap_or(0);
        if highest == 0 {
            continue;
        }
        let shades: Vec<Color32> = (0..=highest.min(1 << 20))
            .map(|n| {
                let t = (n as f32 / highest as f32).powf(GAMMA);
                if n == 0 { Color32::TRANSPARENT } else { colour.gamma_multiply(FAINTEST + (1.0 - FAINTEST) * t) }
            })
            .collect();
        for (pixel, n) in pixels.iter_mut().zip(&density.counts) {
            let over = shades[(*n as usize).min(shades.len() - 1)];
            *pixel = pixel.blend(over);
        }
    }
    Picture { image: ColorImage::new([px[0] as usize, px[1] as usize], pixels), view }
}

/// Fill between two curves; gaps stay open.
pub fn band(painter: &Painter, frame: &Frame, x: &[f64], [low, high]: [&[f32]; 2], colour: Color32) {
    let columns = frame.rect.width().ceil().max(1.0) as usize;
    // Lowest and highest of the band in each column of points: nothing of its envelope is lost.
    let mut band: Vec<Option<(f32, f32, f32)>> = vec![None; columns + 1];
    for (i, x) in x.iter().enumerate().take(low.len().min(high.len())) {
        let (low, high) = (frame.pt_from_data([*x, f64::from(low[i])]), frame.pt_from_data([*x, f64::from(high[i])]));
        if !(low.y.is_finite() && high.y.is_finite() && frame.rect.expand(2.0).x_range().contains(low.x)) {
            continue;
        }
        let column = ((low.x - frame.rect.left()).max(0.0) as usize).min(columns);
        let (top, bottom) = (high.y.min(low.y), high.y.max(low.y));
        let entry = band[column].get_or_insert((low.x, top, bottom));
        *entry = (low.x, entry.1.min(top), entry.2.max(bottom));
    }
    let gap = x.len().max(2);
    let spacing = frame.rect.width() as f64 / gap as f64 * ((x[x.len() - 1] - x[0]) / (frame.view.x[1] - frame.view.x[0])).abs();
    let mut run: Vec<BandPoint> = Vec::new();
    let flush = |run: &mut Vec<BandPoint>| {
        if run.len() > 1 {
            painter.add(BandShape::filled(std::mem::take(run), colour));
        }
        run.clear();
    };
    for (x, top, bottom) in band.into_iter().flatten() {
        if run.last().is_some_and(|p| f64::from(x - p.x) > (3.0 * spacing).max(3.0)) {
            flush(&mut run);
        }
        run.push(BandPoint::new(x, top..=bottom));
    }
    flush(&mut run);
}

/// A curve, thinned to what the screen can show; gaps stay open.
pub fn line(painter: &Painter, frame: &Frame, x: &[f64], y: &[f32], stroke: Stroke) {
    let y: Vec<f64> = y.iter().map(|v| f64::from(*v)).collect();
    let columns = (frame.rect.width() * painter.pixels_per_point()).max(1.0) as u32;
    let thin = m4(x, &y, frame.view.x[0], frame.view.x[1], columns);
    for part in thin.split(|p| !(p[0].is_finite() && p[1].is_finite())).filter(|p| p.len() > 1) {
        painter.line(part.iter().map(|p| frame.pt_from_data(*p)).collect(), stroke);
    }
}

/// Names, colours and numbers of curves at the left, from `top` points below the upper edge on.
pub fn legend(painter: &Painter, theme: &Theme, frame: &Frame, stacks: &Stacks, top: f32) {
    let font = FontId::proportional(SMALL);
    let text = |name: &str, s: &Stack| {
        let of =
            if s.used < s.of { format!("{} of {}", format::count(s.used), format::count(s.of)) } else { format::count(s.of) };
        format!("{name} {of}")
    };
    let groups = stacks.groups.iter().flat_map(|g| g.iter()).map(|g| (text(&g.name, &g.stack), g.colour));
    let all = stacks.all.as_deref().map(|s| (text("all", s), theme.context));
    let mut y = frame.rect.top() + top;
    for (text, colour) in groups.take(GROUPS).chain(all) {
        let galley = painter.layout_no_wrap(text, font.clone(), theme.second);
        let left = frame.rect.left() + 10.0;
        let ground = Rect::from_min_size(pos2(left - 4.0, y - 1.0), vec2(galley.size().x + 30.0, 17.0));
        painter.rect_filled(ground, 3.0, theme.pane.gamma_multiply(0.8));
        painter.hline(left..=left + 14.0, y + galley.size().y / 2.0, Stroke::new(2.0, colour));
        painter.galley(pos2(left + 20.0, y), galley, theme.second);
        y += 17.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Curves {
        let n = 40;
        let rows: Vec<u32> = (0..101).collect();
        let values =
            rows.iter().flat_map(|r| (0..n).map(move |i| if i == 7 && *r > 50 { f32::NAN } else { *r as f32 })).collect();
        Curves { axis: (0..n).map(f64::from).collect(), rows, values, key: 1 }
    }

    #[test]
    fn a_stack_has_the_median_and_the_bands() {
        let c = ramp();
        let s = Stack::new(&c, None, 101, usize::MAX);
        let at = |i: usize| s.shares.iter().map(|v| v[i]).collect::<Vec<_>>();
        assert_eq!(at(0), [5.0, 16.0, 50.0, 84.0, 95.0]);
        // Blanks count for nothing.
        assert_eq!(s.median()[7], 25.0);
        let few = Stack::new(&c, Some(&RowSet::from_rows(101, [0, 1, 2])), 3, usize::MAX);
        assert_eq!((few.median()[0], few.used), (1.0, 3));
        assert_eq!(Stack::new(&c, None, 101, 10).used, 10);
        assert!(Stack::new(&c, Some(&RowSet::empty(101)), 0, usize::MAX).median()[0].is_nan());
    }

    #[test]
    fn a_density_has_the_colour_of_its_group_where_its_lines_are() {
        let c = ramp();
        let view = Range2 { x: [0.0, 39.0], y: [0.0, 101.0] };
        let (grey, red) = (Color32::GRAY, Color32::RED);
        let high = Arc::new(RowSet::from_fn(101, |r| r > 90));
        let p = picture(&c, &[(grey, None), (red, Some(high))], view, [390, 101], usize::MAX);
        let at = |x: usize, y: usize| p.image.pixels[y * 390 + x];
        // Row 95 is 6 pixels below the top, row 20 has no group.
        assert!(at(33, 5).r() > 200 && at(33, 5).g() < 80, "{:?}", at(33, 5));
        assert!(at(33, 80).r() == at(33, 80).g() && at(33, 80).a() > 0, "{:?}", at(33, 80));
        assert_eq!(at(75, 20).a(), 0, "no line passes beside a blank sample");
        assert!(at(75, 80).a() > 0);
    }
}
