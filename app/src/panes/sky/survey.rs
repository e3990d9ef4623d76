//! A HiPS survey behind the rows: its tiles fetched off the frame and drawn as textured meshes on the projection.
//!
//! Each frame says which tiles it wants; threads take the newest list from its end, so what was asked for in an older view is
//! never waited for. Until a tile is there the part of an ancestor stands in its place. Tiles come through the archive's cache, or
//! from a folder. At most [`KEEP`] stay as textures, those not seen longest go first. A tile is cut into quads that are flat enough,
//! finer where the projection tears. Choice not taken: a picture made by a server for each view (hips2fits), which is one round trip
//! for each step of the wheel. Cost: 1 MB of GPU memory a tile; a frame projects some thousand corners, about a millisecond.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use asterism_archive::Client;
use asterism_data::Picture;
use asterism_session::Settings;
use asterism_session::healpix;
use asterism_session::hips::{self, Survey, Tile};
use asterism_session::sky::Flat;
use egui::{Align2, Color32, ColorImage, FontId, Mesh, Pos2, Shape, TextureHandle, TextureOptions, Ui, pos2, vec2};
use parking_lot::Mutex;

use crate::cx::Cx;
use crate::theme::SMALL;
use crate::widgets::{Frame, Work};

/// Surveys that a menu offers: name and address.
pub const KNOWN: [(&str, &str); 5] = [
    ("DSS, coloured", "https://alasky.cds.unistra.fr/DSS/DSSColor"),
    ("Pan-STARRS DR1", "https://alasky.cds.unistra.fr/Pan-STARRS/DR1/color-z-zg-g"),
    ("2MASS", "https://alasky.cds.unistra.fr/2MASS/Color"),
    ("AllWISE", "https://alasky.cds.unistra.fr/AllWISE/RGB-W4-W2-W1"),
    ("Mellinger, optical", "https://alasky.cds.unistra.fr/MellingerRGB"),
];

/// Tiles kept as textures at most.
const KEEP: usize = 96;
/// Tiles wanted by a view at most.
const WANTED: usize = 48;
/// Threads that fetch.
const THREADS: usize = 3;
/// Textures made in a frame at most.
const UPLOADS: usize = 4;
/// A tile that did not come is tried again after so long.
const AGAIN: Duration = Duration::from_secs(60);
/// The cell of the picture of all tiles of order 3.
const ALL: Tile = Tile { order: 3, cell: u64::MAX };
/// Its tiles across and down.
const ALL_GRID: [f32; 2] = [27.0, 29.0];

enum Slot {
    Ready(TextureHandle),
    Missing(Instant),
}

type Answer = (Tile, Result<ColorImage, String>);

/// What frame and threads share.
#[derive(Default)]
struct Queue {
    /// The next one is at the end.
    wanted: Mutex<Vec<Tile>>,
    working: Mutex<Vec<Tile>>,
    done: Mutex<Vec<Answer>>,
    threads: AtomicUsize,
    client: Mutex<Option<Arc<Client>>>,
}

/// Tiles of one survey.
#[derive(Default)]
pub(super) struct State {
    survey: Work<String, Result<Survey, String>>,
    of: String,
    queue: Arc<Queue>,
    tiles: HashMap<Tile, (Slot, u64)>,
    frame: u64,
}

/// Bytes behind an address, through the archive's cache, or of a file.
///
/// # Errors
/// What the service or the disk says, naming it.
pub(super) fn bytes_of(client: &Mutex<Option<Arc<Client>>>, settings: &Settings, address: &str) -> Result<Vec<u8>, String> {
    if !address.starts_with("http://") && !address.starts_with("https://") {
        let path = address.strip_prefix("file://").unwrap_or(address);
        return std::fs::read(path).map_err(|e| format!("{path}: {e}"));
    }
    let client = {
        let mut kept = client.lock();
        match &*kept {
            Some(client) => client.clone(),
            None => {
                let made = Arc::new(Client::new(settings.services.clone()).map_err(|e| e.to_string())?);
                *kept = Some(made.clone());
                made
            }
        }
    };
    let path = client.fetch(address, &|| false, &mut |_, _| {}).map_err(|e| e.to_string())?;
    std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
}

impl State {
    /// The survey at this address, once its properties are there.
    pub(super) fn survey(&mut self, ui: &Ui, cx: &Cx<'_>, address: &str) -> Option<Arc<Result<Survey, String>>> {
        let base = hips::base(address);
        if self.of != base {
            *self = Self { of: base.clone(), ..Self::default() };
        }
        let (queue, settings) = (self.queue.clone(), cx.session.settings().clone());
        self.survey.get(ui.ctx(), "hips-properties", base.clone(), move || {
            let bytes = bytes_of(&queue.client, &settings, &format!("{base}/properties"))?;
            Survey::parse(&base, &String::from_utf8_lossy(&bytes)).map_err(|e| e.to_string())
        })
    }

    /// Draw the survey into the frame of a projection; true while tiles are on their way.
    pub(super) fn paint(&mut self, ui: &Ui, cx: &Cx<'_>, survey: &Survey, map: &Flat, frame: &Frame, strength: f32) -> bool {
        self.frame += 1;
        self.take(ui);
        let (tiles, order) = tiles_in_view(survey, map, frame);
        let mut missing: Vec<Tile> = Vec::new();
        let needs_all = survey.first >= 3 && order <= 4;
        let tint = Color32::from_gray((strength.clamp(0.0, 1.0) * 255.0) as u8);
        let mut meshes: HashMap<Tile, Mesh> = HashMap::new();
        for tile in &tiles {
            // What does not exist leads to its parent, down to what does.
            let mut ask = Some(*tile);
            while let Some(t) = ask {
                if !self.known(t) {
                    if !missing.contains(&t) {
                        missing.push(t);
                    }
                    break;
                }
                let ready = matches!(self.tiles.get(&t), Some((Slot::Ready(_), _)));
                ask = t.parent().filter(|p| !ready && p.order >= survey.first);
            }
            // The nearest ancestor that is there stands in.
            let mut source = Some(*tile);
            while let Some(s) = source.filter(|s| !matches!(self.tiles.get(s), Some((Slot::Ready(_), _)))) {
                source = s.parent().filter(|p| p.order >= survey.first);
            }
            let part = match source {
                Some(s) => tile.within(s).map(|p| (s, p)),
                None if matches!(self.tiles.get(&ALL), Some((Slot::Ready(_), _))) && tile.order >= 3 => {
                    let third = Tile { order: 3, cell: tile.cell >> (2 * (u32::from(tile.order) - 3)) };
                    tile.within(third).map(|p| {
                        let at = [(third.cell / 27) as f64, (third.cell % 27) as f64];
                        (ALL, [at[0] + p[0], at[1] + p[1], p[2]])
                    })
                }
                None => None,
            };
            let Some((source, [x, y, side])) = part else { continue };
            if let Some((Slot::Ready(texture), seen)) = self.tiles.get_mut(&source) {
                *seen = self.frame;
                let grid = if source == ALL { ALL_GRID } else { [1.0, 1.0] };
                let mesh = meshes.entry(source).or_insert_with(|| Mesh::with_texture(texture.id()));
                // Rows of the picture run along x, columns along y.
                let uv = |u: f64, v: f64| pos2((y + v * side) as f32 / grid[0], (x + u * side) as f32 / grid[1]);
                cut(mesh, *tile, survey, map, frame, tint, &uv);
            }
        }
        let painter = ui.painter_at(frame.rect);
        for (_, mesh) in meshes {
            painter.add(Shape::mesh(mesh));
        }
        // Nearest last, for threads take from the end; what shows most at once is asked for first of all.
        missing.reverse();
        let coarse = tiles.iter().filter_map(|t| {
            let up = t.order.saturating_sub(3).max(survey.first);
            (up < t.order).then(|| Tile { order: up, cell: t.cell >> (2 * u32::from(t.order - up)) })
        });
        let coarse: std::collections::BTreeSet<Tile> = coarse.filter(|t| !self.known(*t)).collect();
        missing.extend(coarse.into_iter().take(8));
        if needs_all && !self.known(ALL) {
            missing.push(ALL);
        }
        let waits = !missing.is_empty();
        self.ask(ui, cx, survey, missing);
        waits
    }

    fn known(&self, tile: Tile) -> bool {
        match self.tiles.get(&tile) {
            Some((Slot::Ready(_), _)) => true,
            Some((Slot::Missing(since), _)) => since.elapsed() < AGAIN,
            None => false,
        }
    }

    fn take(&mut self, ui: &Ui) {
        let mut done = self.queue.done.lock();
        let n = done.len().min(UPLOADS);
        for (tile, image) in done.drain(..n) {
            let slot = match image {
                Ok(image) => {
                    let name = format!("hips {}/{}", tile.order, tile.cell);
                    Slot::Ready(ui.ctx().load_texture(name, image, TextureOptions::LINEAR))
                }
                Err(why) => {
                    log::debug!("{why}");
                    Slot::Missing(Instant::now())
                }
            };
            self.tiles.insert(tile, (slot, self.frame));
        }
        if !done.is_empty() {
            ui.ctx().request_repaint();
        }
        drop(done);
        let ready = |s: &Slot| matches!(s, Slot::Ready(_));
        let count = self.tiles.values().filter(|(s, _)| ready(s)).count();
        if count > KEEP {
            let mut seen: Vec<(u64, Tile)> =
                self.tiles.iter().filter(|(_, (s, _))| ready(s)).map(|(t, (_, f))| (*f, *t)).collect();
            seen.sort_unstable();
            for (_, tile) in seen.into_iter().take(count - KEEP) {
                self.tiles.remove(&tile);
            }
        }
    }

    fn ask(&self, ui: &Ui, cx: &Cx<'_>, survey: &Survey, missing: Vec<Tile>) {
        let working = self.queue.working.lock().clone();
        let done: Vec<Tile> = self.queue.done.lock().iter().map(|(t, _)| *t).collect();
        let list: Vec<Tile> = missing.into_iter().filter(|t| !working.contains(t) && !done.contains(t)).collect();
        let wanted = list.len();
        *self.queue.wanted.lock() = list;
        for _ in self.queue.threads.load(Ordering::Relaxed)..THREADS.min(wanted) {
            let (queue, survey, ctx, settings) =
                (self.queue.clone(), survey.clone(), ui.ctx().clone(), cx.session.settings().clone());
            queue.threads.fetch_add(1, Ordering::Relaxed);
            let work = move || {
                loop {
                    let Some(tile) = queue.wanted.lock().pop() else { break };
                    queue.working.lock().push(tile);
                    let image = fetch(&queue, &settings, &survey, tile);
                    queue.done.lock().push((tile, image));
                    queue.working.lock().retain(|t| *t != tile);
                    ctx.request_repaint();
                }
                queue.threads.fetch_sub(1, Ordering::Relaxed);
            };
            if std::thread::Builder::new().name("hips-tile".into()).spawn(work).is_err() {
                self.queue.threads.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

fn fetch(queue: &Queue, settings: &Settings, survey: &Survey, tile: Tile) -> Result<ColorImage, String> {
    let address = if tile == ALL { format!("{}/Norder3/Allsky.{}", survey.base, survey.ending) } else { survey.address(tile) };
    let bytes = bytes_of(&queue.client, settings, &address)?;
    let picture = Picture::decode(&address, &bytes).map_err(|e| e.to_string())?;
    let [height, width] = picture.shape;
    Ok(ColorImage::from_rgba_unmultiplied([width, height], &picture.rgba))
}

/// Tiles that a frame shows, nearest to its middle first, and their order.
fn tiles_in_view(survey: &Survey, map: &Flat, frame: &Frame) -> (Vec<Tile>, u8) {
    let rect = frame.rect;
    let at = |p: Pos2| map.sky(frame.data_from_pt(p));
    let order = survey.order_for(frame.data_per_pt()[1]);
    // Seen from the middle, or from the projection's own where the middle shows no sky.
    let middle = at(rect.center()).or_else(|| map.sky([0.0, 0.0])).unwrap_or((0.0, 0.0));
    let v = asterism_session::sky::vector(middle.0, middle.1);
    let mut radius: f64 = 0.0;
    for i in 0..=6u8 {
        for j in 0..=6u8 {
            let p = rect.min + vec2(rect.width() * f32::from(i) / 6.0, rect.height() * f32::from(j) / 6.0);
            match at(p) {
                Some((ra, dec)) => {
                    let w = asterism_session::sky::vector(ra, dec);
                    radius = radius.max((0..3).map(|k| v[k] * w[k]).sum::<f64>().clamp(-1.0, 1.0).acos());
                }
                // Beyond the rim of the projection: all it shows.
                None => radius = radius.max(if map.kind.is_whole() { 4.0 } else { 1.6 }),
            }
        }
    }
    let (lon, lat) = survey.frame.of_icrs(middle.0, middle.1);
    let most = if order <= 3 { 768 } else { WANTED };
    (hips::tiles_near(order, (lon, lat), radius * 1.02 + 1e-9, most), order)
}

/// Cuts a tile into quads on the screen.
fn cut(mesh: &mut Mesh, tile: Tile, survey: &Survey, map: &Flat, frame: &Frame, tint: Color32, uv: &dyn Fn(f64, f64) -> Pos2) {
    let (face, x, y) = healpix::face_xy(tile.order, tile.cell);
    let n = (1u64 << tile.order) as f64;
    let place = |u: f64, v: f64| {
        let (lon, lat) = healpix::sky(face, (x as f64 + u) / n, (y as f64 + v) / n);
        let (ra, dec) = survey.frame.to_icrs(lon, lat);
        map.plane(ra, dec)
    };
    let parts: usize = match tile.order {
        0 => 16,
        1 | 2 => 10,
        3 | 4 => 5,
        5 | 6 => 3,
        _ => 2,
    };
    let step = 1.0 / parts as f64;
    let corners: Vec<[f64; 2]> = (0..=parts)
        .flat_map(|i| (0..=parts).map(move |j| (i, j)))
        .map(|(i, j)| place(i as f64 * step, j as f64 * step))
        .collect();
    for i in 0..parts {
        for j in 0..parts {
            let at = |di: usize, dj: usize| corners[(i + di) * (parts + 1) + j + dj];
            let quad = [at(0, 0), at(1, 0), at(1, 1), at(0, 1)];
            let deep = if tile.order < 5 { 4 } else { 1 };
            add(mesh, [i as f64 * step, j as f64 * step, step], quad, deep, &place, frame, tint, uv);
        }
    }
}

/// Adds a quad, or its quarters where the projection tears it apart or leaves a corner out.
#[expect(clippy::too_many_arguments, reason = "a quad with its place, depth, and the ways to the screen and the picture")]
fn add(
    mesh: &mut Mesh,
    [u, v, side]: [f64; 3],
    quad: [[f64; 2]; 4],
    deep: u8,
    place: &dyn Fn(f64, f64) -> [f64; 2],
    frame: &Frame,
    tint: Color32,
    uv: &dyn Fn(f64, f64) -> Pos2,
) {
    let spread = |k: usize| {
        let (lo, hi) = quad.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[k]), h.max(p[k])));
        (hi - lo, lo, hi)
    };
    let torn = quad.iter().any(|p| !(p[0].is_finite() && p[1].is_finite())) || spread(0).0 > 1.2 || spread(1).0 > 1.2;
    if torn {
        if deep == 0 {
            return;
        }
        let half = side / 2.0;
        for (du, dv) in [(0.0, 0.0), (half, 0.0), (0.0, half), (half, half)] {
            let (u, v) = (u + du, v + dv);
            let quad = [place(u, v), place(u + half, v), place(u + half, v + half), place(u, v + half)];
            add(mesh, [u, v, half], quad, deep - 1, place, frame, tint, uv);
        }
        return;
    }
    let at = quad.map(|p| frame.pt_from_data(p));
    if !egui::Rect::from_points(&at).intersects(frame.rect) {
        return;
    }
    let first = mesh.vertices.len() as u32;
    for (p, (du, dv)) in at.into_iter().zip([(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)]) {
        mesh.vertices.push(egui::epaint::Vertex { pos: p, uv: uv(u + du, v + dv), color: tint });
    }
    mesh.add_triangle(first, first + 1, first + 2);
    mesh.add_triangle(first, first + 2, first + 3);
}

/// Who made it, at the lower right.
pub(super) fn credit(ui: &Ui, cx: &Cx<'_>, survey: &Survey, frame: &Frame, waits: bool) {
    let thanks = if survey.copyright.is_empty() { String::new() } else { format!(" · {}", survey.copyright) };
    let mut text = format!("{}{thanks}", survey.title);
    if text.chars().count() > 90 {
        text = text.chars().take(89).chain(['…']).collect();
    }
    if waits {
        text = format!("fetching · {text}");
    }
    let painter = ui.painter_at(frame.rect);
    let galley = painter.layout_no_wrap(text, FontId::proportional(SMALL - 1.0), cx.theme.second);
    let at = frame.rect.right_bottom() - galley.size() - vec2(8.0, 6.0);
    painter.rect_filled(egui::Rect::from_min_size(at, galley.size()).expand(3.0), 3.0, cx.theme.pane.gamma_multiply(0.8));
    painter.galley(at, galley, cx.theme.second);
}

/// A sentence where the survey cannot be shown.
pub(super) fn trouble(ui: &Ui, cx: &Cx<'_>, why: &str, frame: &Frame) {
    let painter = ui.painter_at(frame.rect);
    let font = FontId::proportional(SMALL);
    let galley = painter.layout(why.to_owned(), font, cx.theme.error, frame.rect.width() - 24.0);
    let at = Align2::CENTER_BOTTOM.anchor_size(frame.rect.center_bottom() - vec2(0.0, 8.0), galley.size()).min;
    painter.rect_filled(egui::Rect::from_min_size(at, galley.size()).expand(5.0), 3.0, cx.theme.pane.gamma_multiply(0.9));
    painter.galley(at, galley, cx.theme.error);
}

#[cfg(test)]
mod tests {
    use super::*;
    use asterism_session::sky::{Projection, SkyFrame};
    use egui::Rect;

    fn survey() -> Survey {
        let text = "obs_title = x\nhips_order = 9\nhips_order_min = 0\nhips_tile_format = jpeg\n";
        Survey::parse("/nowhere", text).expect("properties")
    }

    fn frame(centre: [f64; 2], scale: f64) -> Frame {
        crate::panes::image::frame_of(Rect::from_min_size(pos2(0.0, 0.0), vec2(800.0, 500.0)), centre, scale, true)
    }

    #[test]
    fn a_view_wants_the_tile_under_it_at_the_size_of_its_pixels() {
        let map = Flat::new(Projection::Field, [10.68, 41.27]);
        // 20" a point: order 5 has 52" pixels ... order 6 and finer 26", 13".
        let scale = 1.0 / (13.0_f64 / 3600.0).to_radians();
        let (tiles, order) = tiles_in_view(&survey(), &map, &frame([0.0, 0.0], scale));
        assert_eq!(order, 5);
        let under = healpix::cell_at(order, 10.68f64.to_radians(), 41.27f64.to_radians());
        assert!(tiles.len() < 40 && tiles[..4].iter().any(|t| t.cell == under), "{tiles:?}");
    }

    #[test]
    fn the_whole_sky_is_covered_without_holes() {
        for kind in [Projection::Mollweide, Projection::Hammer, Projection::Globe] {
            let map = Flat::in_frame(kind, SkyFrame::Galactic, [0.0, 0.0]);
            let frame = frame([0.0, 0.0], 120.0);
            let (tiles, order) = tiles_in_view(&survey(), &map, &frame);
            let mut area = 0.0;
            for tile in &tiles {
                let mut mesh = Mesh::default();
                cut(&mut mesh, *tile, &survey(), &map, &frame, Color32::WHITE, &|u, v| pos2(v as f32, u as f32));
                for t in mesh.indices.as_chunks::<3>().0 {
                    let [a, b, c] = t.map(|i| mesh.vertices[i as usize].pos);
                    area += f64::from(((b - a).x * (c - a).y - (b - a).y * (c - a).x).abs() / 2.0);
                }
            }
            let whole = match kind {
                Projection::Globe => std::f64::consts::PI,
                _ => 4.0 * std::f64::consts::PI,
            } * 120.0
                * 120.0;
            assert!(order <= 1 && (area / whole - 1.0).abs() < 0.02, "{kind:?}: {:.4} of it", area / whole);
        }
    }

    #[test]
    fn corners_of_the_picture_are_where_the_standard_has_them() {
        // Top left south, bottom left east, bottom right north.
        let tile = Tile { order: 4, cell: 1428 };
        let (middle, _) = healpix::cap(tile.order, tile.cell);
        let (lon, lat) = asterism_session::sky::angles(middle);
        let map = Flat::new(Projection::Field, [lon.to_degrees(), lat.to_degrees()]);
        let frame = frame([0.0, 0.0], 4000.0);
        let mut mesh = Mesh::default();
        cut(&mut mesh, tile, &survey(), &map, &frame, Color32::WHITE, &|u, v| pos2(v as f32, u as f32));
        let corner =
            |u: f32, v: f32| mesh.vertices.iter().find(|w| w.uv == pos2(u, v)).expect("a corner").pos - frame.rect.center();
        assert!(corner(0.0, 0.0).y > 50.0 && corner(1.0, 1.0).y < -50.0);
        assert!(corner(0.0, 1.0).x < -50.0 && corner(1.0, 0.0).x > 50.0);
    }
}
