//! What a row looks like in every view: its colour, whether it is lit, and the counts of the legend.
//!
//! Made once for each change of selection, subsets or theme and shared by all panes of the window
//! (it lies in egui's memory for one window). Cost: one pass over the rows, 4 B + 1 bit a row.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use asterism_data::RowSet;
use asterism_session::{Dataset, Document};
use egui::Color32;

use crate::theme::Theme;

/// A number that no other cache ever had.
pub fn next_key() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What derived arrays of a dataset depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataKey {
    /// Dataset.
    pub id: u32,
    /// Rows.
    pub rows: usize,
    /// Address of the table: a table is replaced, never changed.
    pub table: usize,
}

impl DataKey {
    /// Of a dataset.
    pub fn of(dataset: &Dataset) -> Self {
        Self { id: dataset.id, rows: dataset.table.rows(), table: Arc::as_ptr(&dataset.table) as usize }
    }
}

/// Colours and counts of every row.
pub struct RowLook {
    /// RGBA8 a row, red in the lowest byte; alpha 0 for context.
    pub rgba: Vec<u32>,
    /// Rows drawn in their colour: the selection, and rows of visible subsets.
    pub lit: Vec<u64>,
    /// Whether `lit` means anything: without, all rows are drawn alike.
    pub any: bool,
    /// The selection alone.
    pub chosen: Vec<u64>,
    /// Name, colour, lit and total of each entry of the legend.
    pub legend: Vec<LegendEntry>,
    /// Selected rows.
    pub selected: usize,
    /// Colour of selected rows that no visible subset holds: the theme's, unless a subset has that one.
    pub own: Color32,
    /// Unique to this state.
    pub key: u64,
}

/// One line of a legend.
#[derive(Clone, Debug, PartialEq)]
pub struct LegendEntry {
    /// Subset; `None` for everything else and for the selection itself.
    pub subset: Option<u32>,
    /// Name.
    pub name: String,
    /// Colour.
    pub colour: Color32,
    /// Selected rows in it.
    pub lit: usize,
    /// Rows in it.
    pub total: usize,
}

/// RGBA8 with red in the lowest byte.
pub fn pack(c: Color32) -> u32 {
    u32::from_le_bytes(c.to_array())
}

/// sRGB bytes as a colour.
pub fn colour_of(rgb: [u8; 3]) -> Color32 {
    Color32::from_rgb(rgb[0], rgb[1], rgb[2])
}

fn key_of(doc: &Document, dataset: &Dataset, theme: &Theme) -> u64 {
    let mut hash = DefaultHasher::new();
    DataKey::of(dataset).hash(&mut hash);
    doc.selection.generation.hash(&mut hash);
    (Arc::as_ptr(&doc.selection.rows) as usize, doc.hide_rest, theme.dark).hash(&mut hash);
    for subset in &dataset.subsets {
        (Arc::as_ptr(subset) as usize, subset.id, subset.visible, subset.colour, &subset.name).hash(&mut hash);
    }
    hash.finish()
}

#[derive(Clone)]
struct Kept {
    of: u64,
    look: Arc<RowLook>,
}

/// How the rows of the dataset in front look now.
pub fn look(ctx: &egui::Context, doc: &Document, theme: &Theme) -> Option<Arc<RowLook>> {
    let dataset = doc.dataset()?;
    let of = key_of(doc, dataset, theme);
    let id = egui::Id::unique("row look");
    if let Some(kept) = ctx.data(|d| d.get_temp::<Kept>(id))
        && kept.of == of
    {
        return Some(kept.look);
    }
    let look = Arc::new(make(doc, dataset, theme));
    ctx.data_mut(|d| d.insert_temp(id, Kept { of, look: look.clone() }));
    Some(look)
}

fn make(doc: &Document, dataset: &Dataset, theme: &Theme) -> RowLook {
    let rows = dataset.table.rows();
    let chosen = doc.selection.rows.resized(rows);
    let selected = chosen.count();
    let shown: Vec<_> = dataset.subsets.iter().filter(|s| s.visible).collect();
    let own = own_colour(&shown.iter().map(|s| s.colour).collect::<Vec<_>>(), theme);
    let mut rgba = vec![if selected > 0 { pack(own) } else { 0 }; rows];
    let mut lit = chosen.clone();
    let mut free = RowSet::full(rows);
    let mut legend = Vec::new();
    for subset in &shown {
        let members = subset.rows.resized(rows);
        let colour = colour_of(subset.colour);
        let (full, faded) = (pack(colour), pack(colour.lerp_to_gamma(theme.pane, 0.35)));
        // Where subsets overlap the first one gives the colour.
        for row in members.and(&free).iter() {
            rgba[row] = if selected == 0 || chosen.contains(row) { full } else { faded };
        }
        free = free.and_not(&members);
        legend.push(LegendEntry {
            subset: Some(subset.id),
            name: subset.name.clone(),
            colour,
            lit: members.and(&chosen).count(),
            total: members.count(),
        });
        if !doc.hide_rest {
            lit = lit.or(&members);
        }
    }
    let rest = free.count();
    if shown.is_empty() {
        if selected > 0 {
            legend.push(LegendEntry { subset: None, name: "selected".into(), colour: own, lit: selected, total: rows });
        }
    } else {
        let lit = free.and(&chosen).count();
        let colour = if lit > 0 { own } else { theme.context };
        legend.push(LegendEntry { subset: None, name: "else".into(), colour, lit, total: rest });
    }
    let any = selected > 0 || !shown.is_empty();
    RowLook { rgba, lit: lit.words().to_vec(), any, chosen: chosen.words().to_vec(), legend, selected, own, key: next_key() }
}

/// A colour for the selection that no visible subset has: two things of one colour cannot be told
/// apart in a legend.
fn own_colour(taken: &[[u8; 3]], theme: &Theme) -> Color32 {
    let far = |c: &Color32| {
        let apart = |t: &[u8; 3]| t.iter().zip(c.to_array()).map(|(a, b)| i32::from(*a).abs_diff(i32::from(b))).sum::<u32>();
        taken.iter().all(|t| apart(t) > 60)
    };
    let others = [1, 0, 4, 6, 3].map(|i| colour_of(asterism_render::colour::OKABE_ITO[i]));
    [theme.selected, theme.accent].into_iter().chain(others).find(far).unwrap_or(theme.text)
}

impl RowLook {
    /// Colour of rows that are not lit: where nothing is lit at all they need not stand back.
    pub fn context(&self, theme: &Theme) -> Color32 {
        if self.any { theme.context } else { theme.context.lerp_to_gamma(theme.second, 0.6) }
    }
    /// Colour of a row where it is lit; `None` for context.
    pub fn colour(&self, row: usize) -> Option<Color32> {
        let lit = !self.any || self.lit.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1);
        let [r, g, b, a] = self.rgba.get(row)?.to_le_bytes();
        (lit && a > 0).then(|| Color32::from_rgba_premultiplied(r, g, b, a))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use asterism_session::{Selection, Subset};

    fn table(rows: usize) -> asterism_data::Table {
        let mut table = asterism_data::Table::default();
        table.with_f64_column("x", (0..rows).map(|i| i as f64).collect(), asterism_data::ColumnMeta::default()).unwrap();
        table
    }

    #[test]
    fn the_legend_follows_the_selection_and_context_is_grey() {
        let theme = Theme::dark();
        let subset = |id, name: &str, colour, rows: &[usize]| {
            Arc::new(Subset {
                id,
                name: name.into(),
                colour,
                rows: Arc::new(RowSet::from_rows(10, rows.iter().copied())),
                steps: Vec::new(),
                visible: true,
            })
        };
        let dataset = Dataset {
            id: 1,
            name: "ten".into(),
            ask: asterism_session::Ask::Sample { name: "ten".into(), filter: None, max_rows: None },
            table: Arc::new(table(10)),
            spectra: None,
            images: Vec::new(),
            ledger: Vec::new(),
            latest: Arc::default(),
            features: asterism_session::Features::default(),
            maps: Vec::new(),
            current_map: None,
            subsets: vec![subset(1, "a", [1, 2, 3], &[0, 1, 2]), subset(2, "b", [4, 5, 6], &[2, 3])],
            rule: None,
            loading: false,
            credit: String::new(),
            added: Vec::new(),
            tables: Vec::new(),
        };
        let mut doc = Document { datasets: vec![Arc::new(dataset)], ..Document::default() };
        doc.selection = Selection { rows: Arc::new(RowSet::from_rows(10, [1, 2, 9])), steps: Vec::new(), generation: 1 };
        let look = make(&doc, &doc.datasets[0], &theme);
        let counts: Vec<_> = look.legend.iter().map(|e| (e.name.as_str(), e.lit, e.total)).collect();
        assert_eq!(counts, [("a", 2, 3), ("b", 1, 2), ("else", 1, 6)]);
        assert_eq!(look.colour(1), Some(colour_of([1, 2, 3])));
        assert_eq!(look.colour(9), Some(theme.selected));
        let [r, g, b, _] = theme.selected.to_array();
        assert_eq!(own_colour(&[[r, g, b]], &theme), theme.accent);
        assert_eq!(look.colour(5), None);
        // A subset that is not selected is still told apart, fainter.
        assert!(look.colour(3).is_some_and(|c| c != colour_of([4, 5, 6])));
        doc.hide_rest = true;
        assert_eq!(make(&doc, &doc.datasets[0], &theme).colour(3), None);
    }
}
