//! The one place where egui meets `asterism_render`: paint callbacks for points and images.
//!
//! All GPU objects of the program lie in one [`Resources`] in egui's type map, a slot for each view.
//! A pane hands over `Arc`s with keys; columns are uploaded when their key changed, so a callback may
//! be dropped or called twice without harm. In `prepare` the view is drawn into a canvas of its own
//! (only when something changed), in `paint` one triangle lays it into egui's pass. Without a GPU
//! squares are drawn as one mesh. Cost: an upload of what changed; nothing for a still view.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asterism_render::{Canvas, Fold, ImageLook, ImageTexture, Points, Renderer, Style, Times, Tone, View};
use egui::{Mesh, Pos2, Rect, Ui};
use egui_wgpu::{CallbackResources, CallbackTrait, RenderState, ScreenDescriptor, wgpu};

use crate::panes::rows::RowLook;
use crate::theme::Theme;
use crate::widgets::{Range2, ViewId};

/// A slot that no view used for so long is given back.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Squares drawn at most where there is no GPU; more are thinned evenly.
const MESH_POINTS: usize = 100_000;

/// Positions as they are stored: data = `stored * unit + origin`.
#[derive(Clone)]
pub struct Stored {
    /// Stored positions, a row each.
    pub xy: Arc<Vec<[f32; 2]>>,
    /// See above.
    pub origin: [f64; 2],
    /// See above.
    pub unit: [f64; 2],
    /// Changes with the positions.
    pub key: u64,
    /// Rows glide here from where they were; not where a hand turns them.
    pub glides: bool,
    /// x of every row is the phase of its time: what changes with a period is uploaded nowhere.
    pub fold: Option<Folded>,
}

/// Times of rows, and what makes phases of them.
#[derive(Clone)]
pub struct Folded {
    /// The times; the same for a [`Stored::key`].
    pub times: Times,
    /// The period.
    pub fold: Fold,
}

impl Stored {
    /// Positions in f32 as they are.
    pub fn plain(xy: Arc<Vec<[f32; 2]>>, key: u64) -> Self {
        Self { xy, origin: [0.0; 2], unit: [1.0; 2], key, glides: true, fold: None }
    }
    /// Positions in f64, relative to the middle of their range.
    pub fn of(points: &[[f64; 2]], key: u64) -> Self {
        Self::around(points, None, key)
    }
    /// The same, relative to a place: near to it the numbers are as fine as those of f64 for every purpose.
    pub fn around(points: &[[f64; 2]], place: Option<[f64; 2]>, key: u64) -> Self {
        let (mut origin, mut unit) = ([0.0; 2], [1.0; 2]);
        for i in 0..2 {
            let (low, high) = points
                .iter()
                .map(|p| p[i])
                .filter(|v| v.is_finite())
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            if low <= high {
                origin[i] = low * 0.5 + high * 0.5;
                unit[i] = if high > low { high * 0.5 - low * 0.5 } else { 1.0 };
            }
        }
        origin = place.unwrap_or(origin);
        let xy = points.iter().map(|p| [((p[0] - origin[0]) / unit[0]) as f32, ((p[1] - origin[1]) / unit[1]) as f32]).collect();
        Self { xy: Arc::new(xy), origin, unit, key, glides: true, fold: None }
    }
    /// The same, taken up without a glide.
    pub fn at_once(mut self) -> Self {
        self.glides = false;
        self
    }
    /// Rows that are put at their phase, 0 to 1, by [`Stored::folded`]; NaN where they have no time.
    pub fn for_phases(times: &Times, y: &[f64], key: u64) -> Self {
        let has_time = |row: usize| times.has(row);
        // 0 and 1 in turn, so that origin and unit are those of all phases.
        let points: Vec<[f64; 2]> =
            y.iter().enumerate().map(|(row, y)| [if has_time(row) { (row % 2) as f64 } else { f64::NAN }, *y]).collect();
        Self::of(&points, key).at_once()
    }
    /// The same rows at the phases of a period.
    pub fn folded(&self, times: &Times, fold: Fold) -> Self {
        Self { fold: Some(Folded { times: times.clone(), fold }), ..self.clone() }
    }
    /// The same with phases as positions, for whoever looks at them without a device.
    pub fn laid_out(mut self) -> Self {
        if let Some(Folded { times, fold }) = self.fold.take() {
            let (scale, offset) = (1.0 / self.unit[0], -self.origin[0] / self.unit[0]);
            let at = |(row, p): (usize, &[f32; 2])| [(f64::from(fold.of(&times, row)) * scale + offset) as f32, p[1]];
            self.xy = Arc::new(self.xy.iter().enumerate().map(at).collect());
        }
        self
    }
    /// A row's position in data units; NaN where it has none.
    pub fn data(&self, row: usize) -> [f64; 2] {
        let p = self.xy.get(row).copied().unwrap_or([f32::NAN; 2]);
        [f64::from(p[0]) * self.unit[0] + self.origin[0], f64::from(p[1]) * self.unit[1] + self.origin[1]]
    }
    /// Data to stored.
    pub fn stored(&self, p: [f64; 2]) -> [f64; 2] {
        [(p[0] - self.origin[0]) / self.unit[0], (p[1] - self.origin[1]) / self.unit[1]]
    }
}

/// Colours of rows by something other than subsets.
#[derive(Clone)]
pub struct OwnColours {
    /// RGBA8 a row, red lowest; alpha 0 for no value.
    pub rgba: Arc<Vec<u32>>,
    /// Changes with them.
    pub key: u64,
}

/// What a scatter is drawn from.
#[derive(Clone)]
pub struct Scatter {
    /// The view.
    pub slot: ViewId,
    /// Where the rows are.
    pub at: Stored,
    /// Where they are by now, in the buffer of a layout on this device: the same rows, in map units.
    pub places: Option<asterism_session::reduce::gpu::Places>,
    /// Colours by subset, and which rows are lit.
    pub look: Arc<RowLook>,
    /// Colours by column in their place.
    pub colours: Option<OwnColours>,
    /// Factor on the radius of each row, and its key.
    pub sizes: Option<(Arc<Vec<f32>>, u64)>,
    /// What is shown.
    pub view: Range2,
    /// Radius of a mark, points.
    pub radius_pt: f32,
    /// Opacity, 0 for automatic.
    pub opacity: f32,
    /// Rows outside the selection are not drawn.
    pub hide_rest: bool,
    /// Colour of rows that are not lit.
    pub context: egui::Color32,
    /// Row under the cursor.
    pub hover: Option<u32>,
    /// The crowded drawing is equalised, so that structure shows at all densities at once.
    pub equalised: bool,
}

/// How long rows glide from one layout to the next at most.
const GLIDE: Duration = Duration::from_millis(300);
/// Layouts that follow each other quicker than this are their own animation.
const GLIDE_FROM: Duration = Duration::from_millis(60);

struct PointsSlot {
    points: Points,
    canvas: Canvas,
    at: u64,
    /// Stored positions of that layout.
    xy: Arc<Vec<[f32; 2]>>,
    /// Their origin and unit.
    units: ([f64; 2], [f64; 2]),
    /// When the layout last changed, and how long the rows take on their way to it.
    moved: Instant,
    glide: Duration,
    look: u64,
    colours: u64,
    sizes: u64,
    used: Instant,
}

struct ImageSlot {
    image: ImageTexture,
    canvas: Canvas,
    key: u64,
    used: Instant,
}

/// Everything of ours on the GPU.
struct Resources {
    renderer: Result<Renderer, String>,
    points: HashMap<ViewId, PointsSlot>,
    images: HashMap<ViewId, ImageSlot>,
}

fn resources<'a>(
    map: &'a mut CallbackResources,
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    target: wgpu::TextureFormat,
) -> Option<&'a mut Resources> {
    if !map.contains::<Resources>() {
        let renderer = Renderer::new(device, queue, target).map_err(|e| e.to_string());
        map.insert(Resources { renderer, points: HashMap::new(), images: HashMap::new() });
    }
    let resources = map.get_mut::<Resources>()?;
    resources.points.retain(|_, s| s.used.elapsed() < FORGET_AFTER);
    resources.images.retain(|_, s| s.used.elapsed() < FORGET_AFTER);
    Some(resources)
}

fn px_of(rect: Rect, screen: &ScreenDescriptor) -> [u32; 2] {
    // As epaint rounds a callback's viewport: both ends, not the size.
    let ppp = screen.pixels_per_point;
    let size = |a: f32, b: f32| ((b * ppp).round() - (a * ppp).round()).max(1.0) as u32;
    [size(rect.left(), rect.right()), size(rect.top(), rect.bottom())]
}

impl PointsSlot {
    /// Take up another layout. The same rows glide there: within a map from place to place, from axes to other axes by their share of
    /// each axis, so that an eye can follow a row. Another number of rows starts afresh.
    fn lay_out(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, at: &Stored) {
        let plain = |s: &Stored| s.origin == [0.0; 2] && s.unit == [1.0; 2];
        let wait = self.moved.elapsed().min(GLIDE);
        self.points.settle();
        let same_units = self.units == (at.origin, at.unit);
        self.units = (at.origin, at.unit);
        if self.points.len() != at.xy.len() || !(at.glides || same_units) {
            self.points = Points::from_shared(device, queue, at.xy.clone(), at.origin, at.unit);
            (self.look, self.colours, self.sizes) = (0, 0, 0);
        } else if at.glides && !plain(at) {
            // Both layouts are stored between −1 and 1 of their own frames.
            let before = if self.xy.iter().all(|p| !(p[0].abs() > 1.001 || p[1].abs() > 1.001)) { &self.xy } else { &at.xy };
            self.points = Points::from_shared(device, queue, before.clone(), at.origin, at.unit);
            (self.look, self.colours, self.sizes) = (0, 0, 0);
            self.points.set_target_shared(device, queue, at.xy.clone());
        } else if wait < GLIDE_FROM || !at.glides {
            self.points.set_positions_shared(device, queue, at.xy.clone());
        } else {
            self.points.set_target_shared(device, queue, at.xy.clone());
        }
        (self.at, self.xy, self.moved, self.glide) = (at.key, at.xy.clone(), Instant::now(), wait.max(GLIDE_FROM));
    }
    /// Move the rows on their way; true while they are on it.
    fn go_on(&mut self) -> bool {
        if self.points.glide().is_none() {
            return false;
        }
        let t = self.moved.elapsed().as_secs_f32() / self.glide.as_secs_f32();
        if t >= 1.0 {
            self.points.settle();
            return false;
        }
        // Slow at both ends.
        self.points.set_glide(t * t * (3.0 - 2.0 * t));
        true
    }
}

struct PointsCallback {
    scatter: Scatter,
    rect: Rect,
    target: wgpu::TextureFormat,
    ctx: egui::Context,
}

impl CallbackTrait for PointsCallback {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        encoder: &mut wgpu::CommandEncoder,
        map: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(Resources { renderer: Ok(renderer), points, .. }) = resources(map, device, queue, self.target) else {
            return Vec::new();
        };
        let s = &self.scatter;
        let slot = points.entry(s.slot).or_insert_with(|| PointsSlot {
            points: Points::from_shared(device, queue, s.at.xy.clone(), s.at.origin, s.at.unit),
            canvas: Canvas::new(device),
            at: s.at.key,
            xy: s.at.xy.clone(),
            units: (s.at.origin, s.at.unit),
            moved: Instant::now(),
            glide: GLIDE,
            look: 0,
            colours: 0,
            sizes: 0,
            used: Instant::now(),
        });
        slot.used = Instant::now();
        // A layout on this device is drawn from its own buffer once the slot counts in its units and rows; afterwards, from frames again.
        let plain = slot.units == ([0.0; 2], [1.0; 2]) && slot.xy.len() == s.at.xy.len();
        let places = s.places.as_ref().filter(|p| plain && p.rows() == s.at.xy.len() && p.is_on(device));
        if places.is_some_and(|p| slot.points.follow(device, p.positions(), p.rows())) {
            (slot.at, slot.xy, slot.glide) = (s.at.key, s.at.xy.clone(), Duration::ZERO);
        } else if slot.at != s.at.key || slot.points.follows() {
            slot.lay_out(device, queue, &s.at);
        }
        if slot.go_on() {
            self.ctx.request_repaint();
        }
        if let Some(Folded { times, fold }) = &s.at.fold {
            if !slot.points.has_times() {
                slot.points.set_times(device, queue, times);
            }
            slot.points.set_fold(*fold);
            renderer.fold(device, encoder, &mut slot.points);
        }
        let colours = s.colours.as_ref().map_or(s.look.key, |c| c.key);
        if slot.colours != colours {
            match &s.colours {
                Some(own) => slot.points.set_colours_shared(queue, own.rgba.clone()),
                None => slot.points.set_colours(queue, &s.look.rgba),
            }
            slot.colours = colours;
        }
        // Colours by column show the selection alone; subsets have a say only where they give the colour.
        let own = s.colours.is_some();
        let look = s.look.key << 1 | u64::from(own);
        if slot.look != look {
            let (lit, any) = if own { (&s.look.chosen, s.look.selected > 0) } else { (&s.look.lit, s.look.any) };
            slot.points.set_selection(queue, lit, any);
            slot.look = look;
        }
        let sizes = s.sizes.as_ref().map_or(0, |(_, key)| *key);
        if slot.sizes != sizes {
            slot.points.set_sizes(device, queue, s.sizes.as_ref().map(|(v, _)| v.as_slice()));
            slot.sizes = sizes;
        }
        let view = View { x: s.view.x, y: s.view.y, px: px_of(self.rect, screen) };
        let style = Style {
            radius_px: s.radius_pt * screen.pixels_per_point,
            context: s.context.to_srgba_unmultiplied(),
            hide_rest: s.hide_rest,
            opacity: s.opacity,
            tone: if s.equalised { Tone::Equalised } else { Tone::Log },
            ..Style::default()
        };
        renderer.draw_points(device, queue, encoder, &mut slot.canvas, &slot.points, &view, &style, s.hover);
        Vec::new()
    }

    fn paint(&self, _info: egui::PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, map: &CallbackResources) {
        if let Some(resources) = map.get::<Resources>()
            && let Ok(renderer) = &resources.renderer
            && let Some(slot) = resources.points.get(&self.scatter.slot)
        {
            renderer.composite(pass, &slot.canvas);
        }
    }
}

/// Pixels of an image, in the two forms there are.
#[derive(Clone)]
pub enum Pixels {
    /// Values, first row at the bottom.
    Values(Arc<asterism_data::Image>),
    /// Colours, first row at the top.
    Picture(Arc<asterism_data::Picture>),
    /// A part of an image, values or colours, first row as in the image.
    Part(Arc<Part>),
}

/// A part of an image: texels of `per` pixels each.
pub struct Part {
    /// Rows, columns.
    pub shape: [usize; 2],
    /// The texels.
    pub texels: Texels,
    /// First pixel of the image in it: column, row.
    pub at: [f64; 2],
    /// Pixels along a texel.
    pub per: f64,
    /// A number that no other has.
    pub key: u64,
}

/// Texels of a part.
pub enum Texels {
    /// Values.
    Values(Vec<f32>),
    /// Straight RGBA.
    Colours(Vec<u8>),
}

impl Part {
    /// The values; none of a part in colours.
    pub fn values(&self) -> &[f32] {
        match &self.texels {
            Texels::Values(values) => values,
            Texels::Colours(_) => &[],
        }
    }
    /// A view of the image in units of the texels.
    pub fn view(&self, view: Range2) -> Range2 {
        let to = |r: [f64; 2], at: f64| r.map(|v| (v - at) / self.per);
        Range2 { x: to(view.x, self.at[0]), y: to(view.y, self.at[1]) }
    }
}

impl Pixels {
    /// Rows, columns.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::Values(image) => image.shape,
            Self::Picture(picture) => picture.shape,
            Self::Part(part) => part.shape,
        }
    }
    /// Changes with the pixels.
    pub fn key(&self) -> u64 {
        match self {
            Self::Values(image) => Arc::as_ptr(image) as u64,
            Self::Picture(picture) => Arc::as_ptr(picture) as u64,
            // Beside every address.
            Self::Part(part) => part.key | 1 << 63,
        }
    }
    fn upload(&self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<ImageTexture, asterism_render::Error> {
        let [height, width] = self.shape().map(|n| n as u32);
        match self {
            Self::Values(image) => ImageTexture::new(device, queue, &image.pixels, width, height),
            Self::Picture(picture) => ImageTexture::rgba(device, queue, &picture.rgba, width, height),
            Self::Part(part) => match &part.texels {
                Texels::Values(values) => ImageTexture::new(device, queue, values, width, height),
                Texels::Colours(rgba) => ImageTexture::rgba(device, queue, rgba, width, height),
            },
        }
    }
}

struct ImageCallback {
    slot: ViewId,
    pixels: Pixels,
    look: ImageLook,
    view: Range2,
    rect: Rect,
    target: wgpu::TextureFormat,
}

impl CallbackTrait for ImageCallback {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        encoder: &mut wgpu::CommandEncoder,
        map: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(Resources { renderer: Ok(renderer), images, .. }) = resources(map, device, queue, self.target) else {
            return Vec::new();
        };
        let key = self.pixels.key();
        if images.get(&self.slot).is_none_or(|s| s.key != key) {
            let Ok(image) = self.pixels.upload(device, queue) else { return Vec::new() };
            images.insert(self.slot, ImageSlot { image, canvas: Canvas::new(device), key, used: Instant::now() });
        }
        if let Some(slot) = images.get_mut(&self.slot) {
            slot.used = Instant::now();
            let view = View { x: self.view.x, y: self.view.y, px: px_of(self.rect, screen) };
            renderer.draw_image(device, queue, encoder, &mut slot.canvas, &slot.image, &view, &self.look);
        }
        Vec::new()
    }

    fn paint(&self, _info: egui::PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, map: &CallbackResources) {
        if let Some(resources) = map.get::<Resources>()
            && let Ok(renderer) = &resources.renderer
            && let Some(slot) = resources.images.get(&self.slot)
        {
            renderer.composite(pass, &slot.canvas);
        }
    }
}

/// A scatter that is drawn on a page and not on a screen, as the painter is handed it.
pub struct OnPaper(pub Scatter);

fn paper() -> egui::Id {
    egui::Id::unique("scatters are drawn on paper")
}

/// From now on scatters of this context are handed over as [`OnPaper`].
pub fn draw_on_paper(ctx: &egui::Context) {
    ctx.data_mut(|d| d.insert_temp(paper(), true));
}

/// Whether a page is drawn: what a control says in the window has to be said in the picture.
pub fn is_on_paper(ctx: &egui::Context) -> bool {
    ctx.data(|d| d.get_temp(paper())).unwrap_or(false)
}

/// Why our drawing on the GPU does not work, if it does not.
pub fn trouble(render: Option<&RenderState>) -> Option<String> {
    let renderer = render?.renderer.read();
    renderer.callback_resources.get::<Resources>()?.renderer.as_ref().err().cloned()
}

/// Draw a scatter into `rect`.
pub fn paint_scatter(ui: &Ui, render: Option<&RenderState>, theme: &Theme, rect: Rect, scatter: Scatter) {
    if rect.width() < 1.0 || rect.height() < 1.0 || scatter.at.xy.is_empty() {
        return;
    }
    let on_device = render.is_some() && trouble(render).is_none();
    let scatter = if on_device { scatter } else { Scatter { at: scatter.at.clone().laid_out(), ..scatter } };
    match render {
        None if is_on_paper(ui.ctx()) => {
            let callback = egui::PaintCallback { rect, callback: Arc::new(OnPaper(scatter)) };
            ui.painter().add(egui::Shape::Callback(callback));
        }
        Some(state) if on_device => {
            let callback = PointsCallback { scatter, rect, target: state.target_format, ctx: ui.ctx().clone() };
            ui.painter().add(egui_wgpu::Callback::new_paint_callback(rect, callback));
        }
        _ => mesh(ui, theme, rect, &scatter),
    }
}

/// Draw an image into `rect`; `view` is in pixels of the image, whose pixel `k` covers `k..k + 1`.
/// False when there is no GPU and the caller must show a texture.
pub fn paint_image(
    ui: &Ui,
    render: Option<&RenderState>,
    slot: ViewId,
    pixels: &Pixels,
    look: ImageLook,
    view: Range2,
    rect: Rect,
) -> bool {
    match render {
        Some(state) if trouble(render).is_none() => {
            let callback = ImageCallback { slot, pixels: pixels.clone(), look, view, rect, target: state.target_format };
            ui.painter().add(egui_wgpu::Callback::new_paint_callback(rect, callback));
            true
        }
        _ => false,
    }
}

fn mesh(ui: &Ui, theme: &Theme, rect: Rect, s: &Scatter) {
    let frame = crate::widgets::Frame { rect, view: s.view };
    let step = s.at.xy.len().div_ceil(MESH_POINTS).max(1);
    let mut context = Mesh::default();
    let mut lit = Mesh::default();
    for row in (0..s.at.xy.len()).step_by(step) {
        let at = frame.pt_from_data(s.at.data(row));
        if !(at.x.is_finite() && at.y.is_finite() && rect.contains(at)) {
            continue;
        }
        let colour = match (&s.colours, s.look.colour(row)) {
            (Some(own), _) if !s.look.any || s.look.colour(row).is_some() => {
                let [r, g, b, a] = own.rgba.get(row).copied().unwrap_or(0).to_le_bytes();
                (a > 0).then(|| egui::Color32::from_rgba_premultiplied(r, g, b, a))
            }
            (_, colour) => colour,
        };
        let factor = s.sizes.as_ref().and_then(|(v, _)| v.get(row)).copied().unwrap_or(1.0);
        let square = Rect::from_center_size(at, egui::Vec2::splat(s.radius_pt * 1.8 * factor));
        match colour {
            Some(colour) => lit.add_colored_rect(square, colour),
            None if s.hide_rest && s.look.any => {}
            None => context.add_colored_rect(square, s.context),
        }
    }
    let painter = ui.painter_at(rect);
    painter.add(context);
    painter.add(lit);
    if let Some(at) = s.hover.map(|row| frame.pt_from_data(s.at.data(row as usize))) {
        ring(&painter, at, s.radius_pt, theme);
    }
}

fn ring(painter: &egui::Painter, at: Pos2, radius: f32, theme: &Theme) {
    if at.x.is_finite() && at.y.is_finite() {
        painter.circle_stroke(at, radius + 3.0, egui::Stroke::new(1.5, theme.text));
    }
}
