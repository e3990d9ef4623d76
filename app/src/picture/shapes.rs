//! What the window's own painter was told to draw, as SVG: so a view on paper is the view, and not a second drawing of it.
//!
//! Lines, rectangles, circles and words stay vectors, words as text in the bundled faces; textured meshes (images, tiles of a survey,
//! densities, cells) become rasters of [`SHARP`] pixels a point, each run of them one; points come as [`OnPaper`] and are marks, or a
//! raster by the renderer's scalar twin where they crowd. Choice not taken: reading back what the GPU drew, which is pixels only and
//! needs a GPU. Cost: one pass over the shapes; a raster costs its pixels.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use asterism_render::{Style, Tone, View as Window, cpu, reference};
use asterism_session::Result;
use egui::epaint::text::Galley;
use egui::epaint::{ClippedShape, ColorMode, PathStroke, StrokeKind, TextShape};
use egui::{Color32, ColorImage, FontFamily, Mesh, Pos2, Rect, Shape, Stroke, TextureId, pos2};

use super::{SINGLE, escape, raster};
use crate::gpu::{OnPaper, Scatter};
use crate::widgets::Frame;

/// Pixels of a raster for a point of the page.
const SHARP: f32 = 2.0;
/// Pixels along a side of a raster at most.
const LONGEST: f32 = 8192.0;

/// Textures as the painter knows them.
#[derive(Default)]
pub(super) struct Textures(HashMap<TextureId, ColorImage>);

impl Textures {
    /// Take up what a frame changed.
    pub fn take(&mut self, mut delta: egui::TexturesDelta) {
        // The first texture holds letters, which are drawn as text, and white for all that has no picture.
        let parts = std::mem::take(&mut delta.set).into_iter().filter(|(id, _)| *id != TextureId::default());
        for (id, part) in parts.flat_map(|(id, parts)| parts.into_iter().map(move |p| (id, p))) {
            let egui::ImageData::Color(image) = part.image;
            match (part.pos, self.0.get_mut(&id)) {
                (Some([x, y]), Some(whole)) => {
                    for (j, line) in image.pixels.chunks(image.size[0].max(1)).enumerate() {
                        let at = (y + j) * whole.size[0] + x;
                        if let Some(to) = whole.pixels.get_mut(at..at + line.len()) {
                            to.copy_from_slice(line);
                        }
                    }
                }
                (None, _) => drop(self.0.insert(id, Arc::unwrap_or_clone(image))),
                (Some(_), None) => {}
            }
        }
        for id in &delta.free {
            self.0.remove(id);
        }
    }
}

/// SVG of the shapes of a frame. `first` makes the names of clips differ from those of other drawings on the page.
///
/// # Errors
/// When a raster cannot be written.
pub(super) fn svg(shapes: &[ClippedShape], textures: &Textures) -> Result<String> {
    let mut pen = Pen { out: String::new(), textures, clips: Vec::new(), clip: None, meshes: Vec::new() };
    for shape in shapes {
        pen.clip_to(shape.clip_rect)?;
        pen.shape(&shape.shape, shape.clip_rect)?;
    }
    pen.end_clip()?;
    Ok(pen.out)
}

struct Pen<'a> {
    out: String,
    textures: &'a Textures,
    clips: Vec<Rect>,
    clip: Option<Rect>,
    /// Meshes that follow each other, not yet drawn.
    meshes: Vec<(Arc<Mesh>, Rect)>,
}

/// Colour and opacity as attributes.
fn paint(what: &str, c: Color32) -> String {
    let [r, g, b, a] = c.to_srgba_unmultiplied();
    let colour = format!("{what}=\"#{r:02x}{g:02x}{b:02x}\"");
    if a == 255 { colour } else { format!("{colour} {what}-opacity=\"{:.3}\"", f32::from(a) / 255.0) }
}

fn fill_of(c: Color32) -> String {
    if c.a() == 0 { "fill=\"none\"".into() } else { paint("fill", c) }
}

fn stroke_of(s: &Stroke) -> String {
    if s.is_empty() { String::new() } else { format!("{} stroke-width=\"{:.2}\"", paint("stroke", s.color), s.width) }
}

fn plain(s: &PathStroke) -> Stroke {
    let colour = match &s.color {
        ColorMode::Solid(c) => *c,
        ColorMode::UV(of) => of(Rect::ZERO, Pos2::ZERO),
    };
    Stroke::new(s.width, colour)
}

impl Pen<'_> {
    fn clip_to(&mut self, rect: Rect) -> Result<()> {
        if self.clip == Some(rect) {
            return Ok(());
        }
        self.end_clip()?;
        let n = self.clips.iter().position(|r| *r == rect).unwrap_or_else(|| {
            self.clips.push(rect);
            let n = self.clips.len() - 1;
            let [x, y, w, h] = [rect.left(), rect.top(), rect.width().max(0.0), rect.height().max(0.0)];
            let _ = writeln!(
                self.out,
                "<clipPath id=\"clip{n}\"><rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{w:.2}\" height=\"{h:.2}\"/></clipPath>"
            );
            n
        });
        let _ = writeln!(self.out, "<g clip-path=\"url(#clip{n})\">");
        self.clip = Some(rect);
        Ok(())
    }

    fn end_clip(&mut self) -> Result<()> {
        self.meshes_end()?;
        if self.clip.take().is_some() {
            self.out.push_str("</g>\n");
        }
        Ok(())
    }

    fn shape(&mut self, shape: &Shape, clip: Rect) -> Result<()> {
        if let Shape::Mesh(mesh) = shape {
            self.meshes.push((mesh.clone(), clip));
            return Ok(());
        }
        if !matches!(shape, Shape::Noop) {
            self.meshes_end()?;
        }
        match shape {
            Shape::Noop | Shape::Mesh(_) => {}
            Shape::Vec(all) => all.iter().try_for_each(|s| self.shape(s, clip))?,
            Shape::Circle(c) => self.line(format_args!(
                "<circle cx=\"{:.2}\" cy=\"{:.2}\" r=\"{:.2}\" {} {}/>",
                c.center.x,
                c.center.y,
                c.radius,
                fill_of(c.fill),
                stroke_of(&c.stroke)
            )),
            Shape::Ellipse(e) => self.line(format_args!(
                "<ellipse cx=\"{0:.2}\" cy=\"{1:.2}\" rx=\"{2:.2}\" ry=\"{3:.2}\" transform=\"rotate({4:.3} {0:.2} {1:.2})\" {5} {6}/>",
                e.center.x,
                e.center.y,
                e.radius.x,
                e.radius.y,
                e.angle.to_degrees(),
                fill_of(e.fill),
                stroke_of(&e.stroke)
            )),
            Shape::LineSegment { points, stroke } => self.path(points, false, Color32::TRANSPARENT, stroke),
            Shape::Path(p) => self.path(&p.points, p.closed, p.fill, &plain(&p.stroke)),
            Shape::Band(band) => {
                let upper = band.points.iter().map(|p| pos2(p.x, p.y.min));
                let lower = band.points.iter().rev().map(|p| pos2(p.x, p.y.max));
                self.path(&upper.chain(lower).collect::<Vec<_>>(), true, band.fill, &Stroke::NONE);
            }
            Shape::Rect(r) => match &r.brush {
                Some(brush) => {
                    let mut mesh = Mesh::with_texture(brush.fill_texture_id);
                    mesh.add_rect_with_uv(r.rect, brush.uv, r.fill);
                    self.meshes.push((Arc::new(mesh), clip));
                }
                // The softness of a shadow says nothing on paper.
                None if r.blur_width > 0.0 => {}
                None => {
                    let by = match r.stroke_kind {
                        StrokeKind::Inside => -r.stroke.width / 2.0,
                        StrokeKind::Middle => 0.0,
                        StrokeKind::Outside => r.stroke.width / 2.0,
                    };
                    let at = r.rect.expand(if r.stroke.is_empty() { 0.0 } else { by });
                    if at.is_positive() || !r.stroke.is_empty() {
                        self.line(format_args!(
                            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" rx=\"{}\" {} {}/>",
                            at.left(),
                            at.top(),
                            at.width().max(0.0),
                            at.height().max(0.0),
                            r.corner_radius.nw,
                            fill_of(r.fill),
                            stroke_of(&r.stroke)
                        ));
                    }
                }
            },
            Shape::Text(text) => self.text(text),
            Shape::QuadraticBezier(q) => self.path(&q.flatten(Some(0.05)), q.closed, q.fill, &plain(&q.stroke)),
            Shape::CubicBezier(c) => self.path(&c.flatten(Some(0.05)), c.closed, c.fill, &plain(&c.stroke)),
            Shape::Callback(callback) => {
                if let Some(OnPaper(scatter)) = callback.callback.downcast_ref::<OnPaper>() {
                    points(&mut self.out, scatter, callback.rect)?;
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(text);
        self.out.push('\n');
    }

    fn path(&mut self, points: &[Pos2], closed: bool, fill: Color32, stroke: &Stroke) {
        if points.len() < 2 || (stroke.is_empty() && fill.a() == 0) {
            return;
        }
        let mut d = String::new();
        let mut pen = 'M';
        for p in points {
            if p.x.is_finite() && p.y.is_finite() {
                let _ = write!(d, "{pen}{:.2} {:.2}", p.x, p.y);
                pen = 'L';
            } else {
                pen = 'M';
            }
        }
        let end = if closed { "Z" } else { "" };
        self.line(format_args!("<path d=\"{d}{end}\" {} {} stroke-linejoin=\"round\"/>", fill_of(fill), stroke_of(stroke)));
    }

    fn text(&mut self, text: &TextShape) {
        let galley: &Galley = &text.galley;
        let turned = text.angle.abs() > 1e-4;
        if turned {
            let angle = text.angle.to_degrees();
            self.line(format_args!("<g transform=\"rotate({angle:.3} {:.2} {:.2})\">", text.pos.x, text.pos.y));
        }
        let mut chars = galley.job.text.char_indices().peekable();
        for row in &galley.rows {
            // Letters of one look that follow each other are one text.
            let mut run = String::new();
            let mut from: Option<(Pos2, usize, Color32)> = None;
            for glyph in &row.row.glyphs {
                let byte = chars.next().map_or(galley.job.text.len(), |(i, _)| i);
                let section = galley.job.sections.iter().position(|s| s.byte_range.contains(&egui::text::ByteIndex(byte)));
                let section = section.unwrap_or(galley.job.sections.len().saturating_sub(1));
                let own = match row.row.visuals.mesh.vertices.get(glyph.first_vertex as usize) {
                    Some(v) if !glyph.chr.is_whitespace() && v.color != Color32::PLACEHOLDER => v.color,
                    _ => text.fallback_color,
                };
                let colour = text.override_text_color.unwrap_or(own).gamma_multiply(text.opacity_factor);
                let space = glyph.chr.is_whitespace();
                if from.is_some_and(|(_, s, c)| s != section || (c != colour && !space)) {
                    self.run(&mut run, from.take(), galley);
                }
                if from.is_none() && !space {
                    from = Some((text.pos + row.pos.to_vec2() + glyph.pos.to_vec2(), section, colour));
                }
                if from.is_some() {
                    run.push(glyph.chr);
                }
            }
            self.run(&mut run, from, galley);
            // The end of a line that was typed has no letter.
            if row.ends_with_newline {
                chars.next();
            }
        }
        if turned {
            self.out.push_str("</g>\n");
        }
    }

    fn run(&mut self, run: &mut String, from: Option<(Pos2, usize, Color32)>, galley: &Galley) {
        let words = std::mem::take(run);
        let (Some((at, section, colour)), false) = (from, words.trim().is_empty()) else { return };
        let Some(font) = galley.job.sections.get(section).map(|s| &s.format.font_id) else { return };
        let face = match &font.family {
            FontFamily::Proportional => "",
            FontFamily::Monospace => " font-family=\"JetBrains Mono, monospace\"",
            FontFamily::Name(_) => " font-weight=\"600\"",
        };
        self.line(format_args!(
            "<text x=\"{:.2}\" y=\"{:.2}\" font-size=\"{}\"{face} {} xml:space=\"preserve\">{}</text>",
            at.x,
            at.y,
            font.size,
            paint("fill", colour),
            escape(words.trim_end())
        ));
    }

    /// Draw the meshes that followed each other as one raster.
    fn meshes_end(&mut self) -> Result<()> {
        let meshes = std::mem::take(&mut self.meshes);
        let mut room = Rect::NOTHING;
        for (mesh, clip) in &meshes {
            room = room.union(mesh.calc_bounds().intersect(*clip));
        }
        if !room.is_positive() || !room.is_finite() {
            return Ok(());
        }
        let room = Rect::from_min_max(room.min.floor(), room.max.ceil());
        let sharp = SHARP.min(LONGEST / room.width().max(room.height()));
        let px = [(room.width() * sharp) as usize, (room.height() * sharp) as usize].map(|n| n.max(1));
        let mut canvas = vec![[0.0_f32; 4]; px[0] * px[1]];
        for (mesh, _) in &meshes {
            fill_mesh(&mut canvas, px, room, mesh, self.textures.0.get(&mesh.texture_id));
        }
        let rgba = canvas.iter().flat_map(|p| straight(*p)).collect();
        let at = [room.left(), room.top(), room.width(), room.height()].map(f64::from);
        raster(&mut self.out, rgba, [px[0] as u32, px[1] as u32], at)
    }
}

/// Premultiplied parts of 255 to straight bytes.
fn straight(p: [f32; 4]) -> [u8; 4] {
    if p[3] <= 0.0 {
        return [0; 4];
    }
    let part = |v: f32| (v * 255.0 / p[3]).round().clamp(0.0, 255.0) as u8;
    [part(p[0]), part(p[1]), part(p[2]), p[3].round().clamp(0.0, 255.0) as u8]
}

/// Lay the triangles of a mesh over a canvas of premultiplied colours that shows `room`; a pixel belongs to a triangle when its middle
/// does, so triangles that share a side leave neither gap nor seam.
fn fill_mesh(canvas: &mut [[f32; 4]], px: [usize; 2], room: Rect, mesh: &Mesh, texture: Option<&ColorImage>) {
    let scale = [px[0] as f32 / room.width(), px[1] as f32 / room.height()];
    let at = |p: Pos2| [(p.x - room.left()) * scale[0], (p.y - room.top()) * scale[1]];
    for three in mesh.indices.as_chunks::<3>().0 {
        let corner = three.map(|i| mesh.vertices.get(i as usize));
        let [Some(a), Some(b), Some(c)] = corner else { continue };
        let (pa, pb, pc) = (at(a.pos), at(b.pos), at(c.pos));
        let area = (pb[0] - pa[0]) * (pc[1] - pa[1]) - (pc[0] - pa[0]) * (pb[1] - pa[1]);
        if area.abs() < 1e-9 || !area.is_finite() {
            continue;
        }
        let ends = |k: usize| {
            let (low, high) = (pa[k].min(pb[k]).min(pc[k]), pa[k].max(pb[k]).max(pc[k]));
            ((low - 0.5).ceil().max(0.0) as usize, ((high - 0.5).floor() + 1.0).clamp(0.0, px[k] as f32) as usize)
        };
        let ((x0, x1), (y0, y1)) = (ends(0), ends(1));
        // A point on a side belongs to the triangle left of it: the side is taken by one of the two, in either order of corners. Both
        // must come to the same number to the last bit, so each side is reckoned from the same one of its ends.
        let edge = |p: [f32; 2], q: [f32; 2], m: [f32; 2]| {
            let (from, to, sign) = if (p[0], p[1]) <= (q[0], q[1]) { (p, q, 1.0) } else { (q, p, -1.0) };
            let [from, to, at] = [from, to, m].map(|v| v.map(f64::from));
            let left = (to[0] - from[0]) * (at[1] - from[1]) - (at[0] - from[0]) * (to[1] - from[1]);
            let w = (sign * left / f64::from(area)) as f32;
            let d = if area > 0.0 { [q[0] - p[0], q[1] - p[1]] } else { [p[0] - q[0], p[1] - q[1]] };
            let takes = d[1] < 0.0 || (d[1] == 0.0 && d[0] > 0.0);
            (w, w > 0.0 || (w == 0.0 && takes))
        };
        for y in y0..y1 {
            for x in x0..x1 {
                let m = [x as f32 + 0.5, y as f32 + 0.5];
                let (wc, ic) = edge(pa, pb, m);
                let (wa, ia) = edge(pb, pc, m);
                let (wb, ib) = edge(pc, pa, m);
                if !(ia && ib && ic) {
                    continue;
                }
                let mix = |k: usize| {
                    f32::from(a.color.to_array()[k]) * wa
                        + f32::from(b.color.to_array()[k]) * wb
                        + f32::from(c.color.to_array()[k]) * wc
                };
                let mut colour: [f32; 4] = std::array::from_fn(mix);
                if let Some(texture) = texture {
                    let uv = [a.uv.x * wa + b.uv.x * wb + c.uv.x * wc, a.uv.y * wa + b.uv.y * wb + c.uv.y * wc];
                    let texel = sample(texture, uv);
                    colour = std::array::from_fn(|k| colour[k] * texel[k] / 255.0);
                }
                let under = &mut canvas[y * px[0] + x];
                *under = std::array::from_fn(|k| colour[k] + under[k] * (1.0 - colour[3] / 255.0));
            }
        }
    }
}

/// The nearest texel: rasters have more pixels than a window, so that a texel of a magnified image stays a square.
fn sample(texture: &ColorImage, uv: [f32; 2]) -> [f32; 4] {
    let at = |v: f32, n: usize| ((v * n as f32).max(0.0) as usize).min(n.saturating_sub(1));
    let i = at(uv[1], texture.size[1]) * texture.size[0] + at(uv[0], texture.size[0]);
    texture.pixels.get(i).map_or([0.0; 4], |c| c.to_array().map(f32::from))
}

/// Rows of a scatter: marks where they are few, else a raster.
fn points(out: &mut String, s: &Scatter, rect: Rect) -> Result<()> {
    // Colours by column show the selection alone, as in the window.
    let (lit, any) = if s.colours.is_some() { (&s.look.chosen, s.look.selected > 0) } else { (&s.look.lit, s.look.any) };
    let rgba = s.colours.as_ref().map_or(&s.look.rgba, |c| &*c.rgba);
    let context = s.context.to_srgba_unmultiplied();
    if s.at.xy.len() > SINGLE {
        let px = [(rect.width() * SHARP).round().max(1.0) as u32, (rect.height() * SHARP).round().max(1.0) as u32];
        let columns = reference::Columns {
            origin: s.at.origin,
            unit: s.at.unit,
            rgba: Some(rgba),
            sizes: s.sizes.as_ref().map(|(v, _)| &**v),
            selection: any.then_some(lit),
            ..reference::Columns::new(&s.at.xy)
        };
        let style = Style {
            radius_px: s.radius_pt * SHARP,
            context,
            hide_rest: s.hide_rest,
            opacity: s.opacity,
            tone: if s.equalised { Tone::Equalised } else { Tone::Log },
            ..Style::default()
        };
        let window = Window { x: s.view.x, y: s.view.y, px };
        let pixels = cpu::points(&window, &style, &columns, 300_000);
        let rgba = pixels.as_chunks::<4>().0.iter().flat_map(|p| straight(p.map(f32::from))).collect();
        return raster(out, rgba, px, [rect.left(), rect.top(), rect.width(), rect.height()].map(f64::from));
    }
    let frame = Frame { rect, view: s.view };
    let is_lit = |row: usize| any && lit.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1);
    let near = rect.expand(s.radius_pt * 4.0);
    let places: Vec<(usize, Pos2)> =
        (0..s.at.xy.len()).map(|row| (row, frame.pt_from_data(s.at.data(row)))).filter(|(_, p)| near.contains(*p)).collect();
    let area = std::f32::consts::PI * s.radius_pt * s.radius_pt;
    let opacity =
        if s.opacity > 0.0 { s.opacity } else { (0.15 * rect.area() / (places.len().max(1) as f32 * area)).clamp(0.4, 1.0) };
    for pass in [false, true] {
        for (row, p) in places.iter().filter(|(row, _)| is_lit(*row) == pass) {
            if !pass && any && s.hide_rest {
                continue;
            }
            let own = rgba.get(*row).copied().unwrap_or(0).to_le_bytes();
            let [r, g, b, _] = if (any && !pass) || own[3] == 0 { context } else { own };
            let factor = s.sizes.as_ref().and_then(|(v, _)| v.get(*row)).copied().unwrap_or(1.0);
            let radius = (s.radius_pt * factor).clamp(0.25, 64.0);
            let _ = writeln!(
                out,
                "<circle cx=\"{:.2}\" cy=\"{:.2}\" r=\"{radius:.2}\" fill=\"#{r:02x}{g:02x}{b:02x}\" fill-opacity=\"{opacity:.2}\"/>",
                p.x, p.y
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use egui::{Vec2, vec2};

    #[test]
    fn triangles_that_share_a_side_leave_no_gap_and_no_seam() {
        let mut mesh = Mesh::default();
        let half = Color32::from_rgba_premultiplied(60, 30, 0, 128);
        mesh.add_colored_rect(Rect::from_min_size(pos2(1.0, 2.0), vec2(7.0, 5.0)), half);
        let room = Rect::from_min_size(Pos2::ZERO, Vec2::splat(10.0));
        let mut canvas = vec![[0.0; 4]; 400];
        fill_mesh(&mut canvas, [20, 20], room, &mesh, None);
        let filled: Vec<_> = canvas.iter().filter(|p| p[3] > 0.0).collect();
        assert_eq!(filled.len(), 14 * 10);
        assert!(filled.iter().all(|p| (p[3] - 128.0).abs() < 0.01 && (p[0] - 60.0).abs() < 0.01), "painted twice");
        // Squares whose diagonal goes through the middles of pixels, at places that f32 rounds.
        for k in 0..40 {
            let (at, side) = (0.1 + 3.7 * k as f32, 450.3 - 7.1 * k as f32);
            let room = Rect::from_min_size(pos2(at.floor(), 33.0), Vec2::splat(460.0));
            let mut mesh = Mesh::default();
            mesh.add_colored_rect(Rect::from_min_size(pos2(at, 33.2), Vec2::splat(side)), half);
            let mut canvas = vec![[0.0; 4]; 920 * 920];
            fill_mesh(&mut canvas, [920, 920], room, &mesh, None);
            let inner = |i: usize| {
                let (x, y) = (room.left() + (i % 920) as f32 / 2.0 + 0.25, room.top() + (i / 920) as f32 / 2.0 + 0.25);
                x > at + 0.6 && x < at + side - 0.6 && y > 33.8 && y < 33.2 + side - 0.6
            };
            let wrong = (0..canvas.len()).filter(|i| inner(*i) && (canvas[*i][3] - 128.0).abs() > 0.01).count();
            assert_eq!(wrong, 0, "square {k}");
        }
    }

    #[test]
    fn a_texture_is_drawn_the_right_way_round() {
        let mut mesh = Mesh::with_texture(TextureId::User(7));
        mesh.add_rect_with_uv(
            Rect::from_min_size(Pos2::ZERO, Vec2::splat(2.0)),
            Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)),
            Color32::WHITE,
        );
        let colours = [Color32::RED, Color32::GREEN, Color32::BLUE, Color32::WHITE];
        let image = ColorImage::new([2, 2], colours.to_vec());
        let mut canvas = vec![[0.0; 4]; 16];
        fill_mesh(&mut canvas, [4, 4], Rect::from_min_size(Pos2::ZERO, Vec2::splat(2.0)), &mesh, Some(&image));
        let at = |i: usize| straight(canvas[i]);
        assert_eq!([at(0), at(3), at(12), at(15)], colours.map(|c| c.to_array()));
    }

    #[test]
    fn words_are_text_where_the_painter_put_them() {
        let ctx = egui::Context::default();
        crate::theme::install_fonts(&ctx);
        let mut textures = Textures::default();
        let mut shapes = Vec::new();
        for _ in 0..2 {
            let out = ctx.run_ui(egui::RawInput::default(), |ui| {
                let painter = ui.painter();
                painter.text(
                    pos2(10.0, 20.0),
                    egui::Align2::LEFT_TOP,
                    "a < b  c",
                    egui::FontId::proportional(12.0),
                    Color32::RED,
                );
            });
            textures.take(out.textures_delta);
            shapes = out.shapes;
        }
        let text = svg(&shapes, &textures).unwrap();
        assert!(text.contains("a &lt; b  c</text>") && text.contains("#ff0000") && text.contains("x=\"10.00\""), "{text}");
    }
}
