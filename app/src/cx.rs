//! What every pane is given: the session to read, commands to queue, and what vanishes with the
//! window (tool, hover, the text of the foot).
//!
//! A pane never changes the session: it pushes [`Command`]s, and the window applies them after the
//! frame. Hover is double buffered, so that the order of the panes cannot matter.

use std::sync::Arc;

use asterism_data::RowSet;
use asterism_session::{Command, Session};

use crate::theme::Theme;

/// What a plain gesture with the selecting button does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Tool {
    /// Drag pans.
    #[default]
    Pan,
    /// Drag draws a free outline.
    Lasso,
    /// Clicks set the corners of an outline.
    Polygon,
    /// Drag draws a rectangle.
    Box,
    /// Drag draws a circle from its centre.
    Circle,
    /// Drag paints.
    Brush,
    /// Drag picks a range along x.
    Range,
}

/// Rows under an outline that is still being drawn.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// The selection that would come of it.
    pub rows: Arc<RowSet>,
    /// Changes with the rows.
    pub key: u64,
}

/// State of the window that no document keeps.
#[derive(Default)]
pub struct Shared {
    /// The tool in hand.
    pub tool: Tool,
    /// Row under the cursor, in the frame before.
    pub hover: Option<u32>,
    /// Row under the cursor, as this frame finds it.
    pub hover_next: Option<u32>,
    /// Position under the cursor in the plot's own units, for the foot.
    pub position: String,
    /// What the mouse does at this very spot, for the foot.
    pub hint: String,
    /// Text beside the cursor while drawing ("412 rows").
    pub cursor_note: String,
    /// Radius of the brush, points.
    pub brush_radius_pt: f32,
    /// Redshift for line markers in spectra.
    pub redshift: f64,
    /// The dataset whose redshift was taken up.
    pub redshift_of: Option<u32>,
    /// Map and place on it under the cursor, in the frame before.
    pub map_at: Option<(u32, [f64; 2])>,
    /// The same, as this frame finds it.
    pub map_at_next: Option<(u32, [f64; 2])>,
    /// What the selection would be if the outline being drawn ended here, in the frame before.
    pub drawing: Option<Drawing>,
    /// The same, as this frame finds it.
    pub drawing_next: Option<Drawing>,
    /// A column that a view asks the map to be coloured by; the first map takes it.
    pub colour_by: Option<String>,
    /// A view of which a picture is wanted.
    pub picture_of: Option<egui_tiles::TileId>,
    /// What views ask of the window itself, done after the frame.
    pub wishes: Vec<Wish>,
}

/// What a view asks of the window.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Show what is behind the selected row.
    Behind,
    /// Ask for a folder, then download one product into it.
    Save {
        /// Address.
        address: String,
        /// File name; from the address when empty.
        name: String,
    },
    /// Say that something typed is wrong.
    Say(String),
}

/// Given to each pane for one frame.
pub struct Cx<'a> {
    /// To read.
    pub session: &'a Session,
    /// Colours and sizes.
    pub theme: &'a Theme,
    /// What vanishes with the window.
    pub shared: &'a mut Shared,
    /// Intents of this frame, applied after it.
    pub commands: &'a mut Vec<Command>,
    /// The GPU, unless the window runs without one.
    pub render: Option<&'a egui_wgpu::RenderState>,
}
