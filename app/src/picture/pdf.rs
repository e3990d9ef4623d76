//! The SVG of a picture as PDF (ISO 32000-1): axes and marks stay vectors, words stay words, rasters stay rasters.
//!
//! usvg has already turned everything into paths with plain colours, pictures, placed letters and groups, which are few operators of
//! PDF: this writes one page of them, its content and rasters deflated, transparency as soft masks and graphics states, with what is
//! written of the bundled faces (`fonts.rs`), so that no font need be there where it is read. Words that are more than filled letters are
//! outlines. Choices not taken: `svg2pdf` and `krilla-svg`, which read SVG by older copies of usvg and would bring those in beside ours.
//! A pixel of the drawing is 1/96 inch. Cost: one pass over the shapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use asterism_session::{Error, Result};
use resvg::tiny_skia::{PathSegment, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{FillRule, Group, Image, ImageKind, LineCap, LineJoin, Node, Paint, Path, Text, Tree};

use super::fonts::{self, Faces};

/// Points a pixel.
const POINT: f32 = 0.75;

/// The page as it is being written.
#[derive(Default)]
struct Page {
    content: String,
    /// Numbers of the graphics states by the opacities of fill and stroke, in thousandths.
    states: BTreeMap<(u32, u32), usize>,
    images: Vec<Raster>,
    faces: Faces,
    /// Words are outlines.
    outlined: bool,
}

/// Pixels without and with their opacity.
struct Raster {
    size: [u32; 2],
    rgb: Vec<u8>,
    alpha: Option<Vec<u8>>,
}

/// The PDF of a drawing.
///
/// # Errors
/// When a raster in it cannot be decoded.
pub fn write(tree: &Tree) -> Result<Vec<u8>> {
    let (w, h) = (tree.size().width() * POINT, tree.size().height() * POINT);
    let draw = |outlined: bool| -> Result<Option<Vec<u8>>> {
        let mut page = Page { outlined, ..Page::default() };
        // y grows downwards in a drawing, upwards on a page.
        let _ = writeln!(page.content, "{} 0 0 {} 0 {} cm", number(POINT), number(-POINT), number(h));
        page.group(tree.root(), 1.0, tree.fontdb())?;
        Ok(page.file(w, h))
    };
    match draw(false)? {
        Some(file) => Ok(file),
        // A face that cannot be taken apart.
        None => draw(true)?.ok_or_else(|| Error::said("the page could not be put together")),
    }
}

/// Short, never with an exponent.
fn number(v: f32) -> String {
    let text = format!("{v:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "-0" | "" | "NaN" | "inf" | "-inf") { "0".into() } else { text.into() }
}

fn matrix(t: Transform) -> String {
    format!("{} cm", coefficients(t))
}

fn coefficients(t: Transform) -> String {
    let rough = |v: f32| format!("{v:.6}");
    format!("{} {} {} {} {} {}", rough(t.sx), rough(t.ky), rough(t.kx), rough(t.sy), number(t.tx), number(t.ty))
}

/// Red, green and blue, 0 to 1, of what is one colour.
fn colour(paint: &Paint) -> Option<String> {
    match paint {
        Paint::Color(c) => Some([c.red, c.green, c.blue].map(|v| number(f32::from(v) / 255.0)).join(" ")),
        _ => None,
    }
}

fn thousandths(v: f32) -> u32 {
    (v.clamp(0.0, 1.0) * 1000.0).round() as u32
}

impl Page {
    fn group(&mut self, group: &Group, opacity: f32, db: &Database) -> Result<()> {
        let opacity = opacity * group.opacity().get();
        let clipped =
            group.clip_path().is_some_and(|clip| self.clip(clip.root(), group.abs_transform().pre_concat(clip.transform())));
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, opacity, db)?,
                Node::Path(path) => self.path(path, opacity),
                Node::Image(image) => self.image(image, opacity)?,
                Node::Text(text) => {
                    if self.outlined || self.words(text, opacity, db).is_none() {
                        self.group(text.flattened(), opacity, db)?;
                    }
                }
            }
        }
        if clipped {
            self.content.push_str("Q\n");
        }
        Ok(())
    }

    /// Words as words; `None`, and nothing written, where they are more than filled letters of one colour.
    fn words(&mut self, text: &Text, opacity: f32, db: &Database) -> Option<()> {
        let mut out = String::new();
        for span in text.layouted().iter().filter(|s| s.visible) {
            let is_plain =
                span.stroke.is_none() && span.underline.is_none() && span.overline.is_none() && span.line_through.is_none();
            let fill = span.fill.as_ref().filter(|_| is_plain)?;
            let rgb = colour(fill.paint())?;
            let state = self.state(thousandths(fill.opacity().get() * opacity), 1000);
            let _ = writeln!(out, "q /G{state} gs {rgb} rg BT");
            let mut last = None;
            for glyph in &span.positioned_glyphs {
                let (face, code) = self.faces.code(db, glyph)?;
                if last.replace(face) != Some(face) {
                    let _ = writeln!(out, "/F{face} 1 Tf");
                }
                let em = self.faces.em(face);
                let at = text.abs_transform().pre_concat(glyph.outline_transform()).pre_scale(em, em);
                let _ = writeln!(out, "{} Tm <{code:04X}> Tj", coefficients(at));
            }
            out.push_str("ET Q\n");
        }
        self.content.push_str(&out);
        Some(())
    }

    /// The number of a graphics state, by the opacities of fill and stroke in thousandths.
    fn state(&mut self, fill: u32, line: u32) -> usize {
        let n = self.states.len();
        *self.states.entry((fill, line)).or_insert(n)
    }

    /// Draw inside the paths of a group only, until the state is taken back; false where it has none.
    fn clip(&mut self, group: &Group, to: Transform) -> bool {
        let paths: Vec<_> = group
            .children()
            .iter()
            .filter_map(
                |n| if let Node::Path(p) = n { p.data().clone().transform(to.pre_concat(p.abs_transform())) } else { None },
            )
            .collect();
        if paths.is_empty() {
            return false;
        }
        self.content.push_str("q\n");
        for path in paths {
            self.outline(path.segments());
        }
        self.content.push_str("W n\n");
        true
    }

    fn path(&mut self, path: &Path, opacity: f32) {
        let fill = path.fill().and_then(|f| Some((colour(f.paint())?, f.opacity().get() * opacity, f.rule())));
        let stroke = path.stroke().and_then(|s| Some((colour(s.paint())?, s)));
        if !path.is_visible() || (fill.is_none() && stroke.is_none()) {
            return;
        }
        let state = self.state(
            fill.as_ref().map_or(1000, |f| thousandths(f.1)),
            stroke.as_ref().map_or(1000, |s| thousandths(s.1.opacity().get() * opacity)),
        );
        let s = &mut self.content;
        let _ = writeln!(s, "q /G{state} gs {}", matrix(path.abs_transform()));
        if let Some((rgb, ..)) = &fill {
            let _ = writeln!(s, "{rgb} rg");
        }
        if let Some((rgb, stroke)) = &stroke {
            let cap = match stroke.linecap() {
                LineCap::Butt => 0,
                LineCap::Round => 1,
                LineCap::Square => 2,
            };
            let join = match stroke.linejoin() {
                LineJoin::Round => 1,
                LineJoin::Bevel => 2,
                LineJoin::Miter | LineJoin::MiterClip => 0,
            };
            let dashes: Vec<String> = stroke.dasharray().unwrap_or(&[]).iter().map(|v| number(*v)).collect();
            let _ = writeln!(
                s,
                "{rgb} RG {} w {cap} J {join} j {} M [{}] {} d",
                number(stroke.width().get()),
                number(stroke.miterlimit().get()),
                dashes.join(" "),
                number(stroke.dashoffset())
            );
        }
        self.outline(path.data().segments());
        let s = &mut self.content;
        let even = matches!(&fill, Some((_, _, FillRule::EvenOdd)));
        s.push_str(match (fill.is_some(), stroke.is_some(), even) {
            (true, true, false) => "B Q\n",
            (true, true, true) => "B* Q\n",
            (true, false, false) => "f Q\n",
            (true, false, true) => "f* Q\n",
            _ => "S Q\n",
        });
    }

    /// Lines and curves, in the coordinates in force.
    fn outline(&mut self, segments: impl Iterator<Item = PathSegment>) {
        let s = &mut self.content;
        let mut pen = [0.0f32; 2];
        for segment in segments {
            match segment {
                PathSegment::MoveTo(p) => {
                    let _ = writeln!(s, "{} {} m", number(p.x), number(p.y));
                    pen = [p.x, p.y];
                }
                PathSegment::LineTo(p) => {
                    let _ = writeln!(s, "{} {} l", number(p.x), number(p.y));
                    pen = [p.x, p.y];
                }
                PathSegment::QuadTo(c, p) => {
                    // A quadratic curve as the cubic that is the same.
                    let third = |a: f32, c: f32| a + (c - a) * 2.0 / 3.0;
                    let (a, b) = ([third(pen[0], c.x), third(pen[1], c.y)], [third(p.x, c.x), third(p.y, c.y)]);
                    let _ = writeln!(
                        s,
                        "{} {} {} {} {} {} c",
                        number(a[0]),
                        number(a[1]),
                        number(b[0]),
                        number(b[1]),
                        number(p.x),
                        number(p.y)
                    );
                    pen = [p.x, p.y];
                }
                PathSegment::CubicTo(a, b, p) => {
                    let _ = writeln!(
                        s,
                        "{} {} {} {} {} {} c",
                        number(a.x),
                        number(a.y),
                        number(b.x),
                        number(b.y),
                        number(p.x),
                        number(p.y)
                    );
                    pen = [p.x, p.y];
                }
                PathSegment::Close => s.push_str("h\n"),
            }
        }
    }

    fn image(&mut self, image: &Image, opacity: f32) -> Result<()> {
        let bytes = match image.kind() {
            ImageKind::PNG(b) | ImageKind::JPEG(b) | ImageKind::GIF(b) | ImageKind::WEBP(b) => b,
            ImageKind::SVG(tree) => return self.group(tree.root(), opacity, tree.fontdb()),
        };
        if !image.is_visible() {
            return Ok(());
        }
        let decoded =
            image::load_from_memory(bytes).map_err(|e| Error::said(format!("a raster of the picture is broken: {e}")))?;
        let rgba = spread(decoded.to_rgba8());
        let size = [rgba.width(), rgba.height()];
        let rgb = rgba.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect();
        let alpha: Vec<u8> = rgba.pixels().map(|p| (f32::from(p.0[3]) * opacity.clamp(0.0, 1.0)).round() as u8).collect();
        let alpha = alpha.iter().any(|a| *a < 255).then_some(alpha);
        let (w, h) = (image.size().width(), image.size().height());
        let _ = writeln!(
            self.content,
            "q {} {} 0 0 {} 0 {} cm /I{} Do Q",
            matrix(image.abs_transform()),
            number(w),
            number(-h),
            number(h),
            self.images.len()
        );
        self.images.push(Raster { size, rgb, alpha });
        Ok(())
    }

    /// All of it with its objects: 1 catalogue, 2 pages, 3 page, 4 content, then graphics states, then rasters with their masks, then
    /// faces. `None` where a face cannot be taken apart.
    fn file(&self, w: f32, h: f32) -> Option<Vec<u8>> {
        let mut objects: Vec<Vec<u8>> = Vec::new();
        let first_state = 5;
        let mut next = first_state + self.states.len();
        let mut names = String::new();
        for i in 0..self.images.len() {
            let _ = write!(names, "/I{i} {next} 0 R ");
            next += if self.images[i].alpha.is_some() { 2 } else { 1 };
        }
        let (first_face, fonts) = (next, self.faces.names(next));
        let states: String = (0..self.states.len()).map(|i| format!("/G{i} {} 0 R ", first_state + i)).collect();
        objects.push(b"<< /Type /Catalog /Pages 2 0 R >>".to_vec());
        objects.push(b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec());
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {} {}] /Contents 4 0 R /Group << /S /Transparency /CS /DeviceRGB >> \
                 /Resources << /ExtGState << {states}>> /XObject << {names}>> /Font << {fonts}>> >> >>",
                number(w),
                number(h)
            )
            .into_bytes(),
        );
        objects.push(stream("", self.content.as_bytes()));
        let mut by_number: Vec<(usize, (u32, u32))> = self.states.iter().map(|(k, n)| (*n, *k)).collect();
        by_number.sort_unstable();
        for (_, (fill, line)) in by_number {
            let [fill, line] = [fill, line].map(|v| number(v as f32 / 1000.0));
            objects.push(format!("<< /Type /ExtGState /ca {fill} /CA {line} >>").into_bytes());
        }
        for raster in &self.images {
            let head = |space: &str, more: &str| {
                let [w, h] = raster.size;
                format!("/Type /XObject /Subtype /Image /Width {w} /Height {h} /BitsPerComponent 8 /ColorSpace /{space}{more} ")
            };
            let mask = raster.alpha.as_ref().map_or_else(String::new, |_| format!(" /SMask {} 0 R", objects.len() + 2));
            objects.push(stream(&head("DeviceRGB", &mask), &raster.rgb));
            if let Some(alpha) = &raster.alpha {
                objects.push(stream(&head("DeviceGray", ""), alpha));
            }
        }
        debug_assert_eq!(objects.len() + 1, first_face);
        let faces = self.faces.objects(first_face)?;
        debug_assert_eq!(faces.len(), self.faces.len() * fonts::OBJECTS);
        objects.extend(faces);
        // Four bytes above 127 tell programs that this is no text.
        let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
        let mut places = Vec::new();
        for (i, object) in objects.iter().enumerate() {
            places.push(out.len());
            out.extend(format!("{} 0 obj\n", i + 1).into_bytes());
            out.extend(object);
            out.extend(b"\nendobj\n");
        }
        let table = out.len();
        let mut end = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
        for place in places {
            let _ = writeln!(end, "{place:010} 00000 n ");
        }
        let _ = write!(end, "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1);
        out.extend(end.into_bytes());
        Some(out)
    }
}

/// A stream object, deflated.
pub(super) fn stream(head: &str, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into memory does not fail; without its filter a stream is as valid.
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    let (filter, data) = match &packed {
        Ok(packed) => ("/Filter /FlateDecode ", packed.as_slice()),
        Err(_) => ("", bytes),
    };
    let mut out = format!("<< {head}{filter}/Length {} >>\nstream\n", data.len()).into_bytes();
    out.extend(data);
    out.extend(b"\nendstream");
    out
}

/// Gives pixels that are not seen the colour of the nearest one in their row that is, or of the row above. Readers scale colours
/// and mask apart: black below the mask would darken the edges of everything that is thinly strewn.
fn spread(mut rgba: image::RgbaImage) -> image::RgbaImage {
    let width = rgba.width() as usize;
    let mut above: Vec<u8> = vec![255; width * 4];
    for row in rgba.chunks_exact_mut(width.max(1) * 4) {
        let (pixels, _) = row.as_chunks_mut::<4>();
        let seen: Vec<usize> = (0..width).filter(|i| pixels[*i][3] > 0).collect();
        let mut next = 0;
        for i in 0..width {
            if pixels[i][3] > 0 {
                continue;
            }
            while next < seen.len() && seen[next] < i {
                next += 1;
            }
            let (before, after) = (next.checked_sub(1).map(|n| seen[n]), seen.get(next).copied());
            let near = match (before, after) {
                (Some(b), Some(a)) if i - b <= a - i => Some(b),
                (_, Some(a)) => Some(a),
                (b, None) => b,
            };
            let colour = near.map_or([above[i * 4], above[i * 4 + 1], above[i * 4 + 2]], |n| {
                let p = pixels[n];
                [p[0], p[1], p[2]]
            });
            pixels[i][..3].copy_from_slice(&colour);
        }
        above.copy_from_slice(row);
    }
    rgba
}

#[cfg(test)]
mod tests {
    #[test]
    fn unseen_pixels_take_the_colour_beside_them() {
        let mut image = image::RgbaImage::new(5, 2);
        image.put_pixel(1, 0, image::Rgba([200, 10, 30, 255]));
        image.put_pixel(4, 0, image::Rgba([0, 0, 250, 90]));
        let out = super::spread(image);
        let of = |x, y| out.get_pixel(x, y).0;
        assert_eq!([of(0, 0), of(2, 0), of(3, 0)], [[200, 10, 30, 0], [200, 10, 30, 0], [0, 0, 250, 0]]);
        assert_eq!([of(1, 0), of(4, 0), of(1, 1)], [[200, 10, 30, 255], [0, 0, 250, 90], [200, 10, 30, 0]]);
    }

    use std::io::Read as _;

    fn of(svg: &str) -> Vec<u8> {
        crate::picture::pdf(svg).expect("a page")
    }

    /// Objects by the cross-reference table, which must point at them.
    fn objects(bytes: &[u8]) -> Vec<Vec<u8>> {
        let find = |what: &[u8], from: usize| from + bytes[from..].windows(what.len()).position(|w| w == what).expect("there");
        let text = String::from_utf8_lossy(bytes);
        let at: usize =
            text.rsplit("startxref\n").next().and_then(|t| t.lines().next()).and_then(|t| t.parse().ok()).expect("a place");
        let table = std::str::from_utf8(&bytes[at..]).expect("the table is text");
        assert!(table.starts_with("xref\n0 "));
        let places: Vec<usize> =
            table.lines().skip(3).take_while(|l| l.ends_with("n ")).map(|l| l[..10].parse().expect("a number")).collect();
        let one = |(i, place): (usize, &usize)| {
            assert!(bytes[*place..].starts_with(format!("{} 0 obj\n", i + 1).as_bytes()), "object {}", i + 1);
            bytes[*place..find(b"endobj", *place)].to_vec()
        };
        places.iter().enumerate().map(one).collect()
    }

    fn inflated(object: &[u8]) -> Vec<u8> {
        let at = object.windows(7).position(|w| w == b"stream\n").expect("a stream") + 7;
        let mut out = Vec::new();
        flate2::read::ZlibDecoder::new(&object[at..]).read_to_end(&mut out).expect("deflated");
        out
    }

    #[test]
    fn shapes_words_and_rasters_are_on_the_page() {
        let raster = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAYAAABytg0kAAAAEklEQVR4nGP4z8DwHwgbGGAMAEBXBvusDhdaAAAAAElFTkSuQmCC";
        let svg = |more: &str| {
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"200\" height=\"100\" \
                 font-family=\"Inter, sans-serif\"><rect width=\"200\" height=\"100\" fill=\"#102030\"/><path d=\"M10 10L50 60\" \
                 stroke=\"#ff0000\" stroke-opacity=\"0.5\" fill=\"none\"/>{more}</svg>"
            )
        };
        let plain = objects(&of(&svg("")));
        assert!(String::from_utf8_lossy(&plain[2]).contains("/MediaBox [0 0 150 75]"));
        let content = String::from_utf8(inflated(&plain[3])).expect("text");
        assert!(content.starts_with("0.75 0 0 -0.75 0 75 cm"), "{content}");
        assert!(content.contains("0.063 0.125 0.188 rg") && content.contains("1 0 0 RG"), "{content}");
        assert!(content.contains("10 10 m\n50 60 l\nS Q"), "{content}");
        assert!(plain.iter().any(|o| String::from_utf8_lossy(o).contains("/CA 0.5")), "the opacity of the line");
        // Words are words of an embedded face, and mean what they say; those with an outline of their own are shapes.
        let words = |more: &str| {
            objects(&of(&svg(&format!("<text x=\"20\" y=\"40\" font-size=\"12\" fill=\"#ffffff\"{more}>flux Å</text>"))))
        };
        let page = words("");
        let text = String::from_utf8(inflated(&page[3])).expect("text");
        assert_eq!(text.matches(" Tj\n").count(), 6, "{text}");
        assert!(text.contains("12.000000 0.000000 0.000000 -12.000000 20 40 Tm <0001> Tj"), "{text}");
        assert_eq!(text.matches(" c\n").count(), content.matches(" c\n").count());
        assert!(String::from_utf8_lossy(&page[2]).contains("/Font << /F0 "));
        let object = |kind: &str| page.iter().find(|o| String::from_utf8_lossy(o).contains(kind)).expect("an object");
        let widths = String::from_utf8_lossy(object("/CIDFontType2")).into_owned();
        let widths = widths.split("/W [0 [").nth(1).and_then(|w| w.split(']').next()).expect("widths");
        assert_eq!(widths.split(' ').count(), 7, "{widths}");
        let face = inflated(object("/Length1"));
        assert!(face.len() < 30_000 && face.starts_with(&[0, 1, 0, 0]), "{}", face.len());
        let means = inflated(page.last().expect("an object"));
        let means = String::from_utf8(means).expect("text");
        assert!(means.contains("<0001> <0066>") && means.contains("<00C5>"), "{means}");
        let page = words(" stroke=\"#ff0000\"");
        let text = String::from_utf8(inflated(&page[3])).expect("text");
        assert!(!text.contains("Tj") && text.matches(" c\n").count() > content.matches(" c\n").count() + 10, "{text}");
        let image = format!("<image x=\"5\" y=\"5\" width=\"40\" height=\"20\" xlink:href=\"data:image/png;base64,{raster}\"/>");
        let with = objects(&of(&svg(&image)));
        let rasters: Vec<&Vec<u8>> = with.iter().filter(|o| String::from_utf8_lossy(o).contains("/Subtype /Image")).collect();
        assert!(!rasters.is_empty() && inflated(rasters[0]).len() == 12);
        assert!(String::from_utf8(inflated(&with[3])).expect("text").contains("/I0 Do"));
        // What is not seen has the colour beside it, in the page as well.
        let mut thin = image::RgbaImage::new(3, 1);
        thin.put_pixel(1, 0, image::Rgba([200, 10, 30, 255]));
        let mut png = std::io::Cursor::new(Vec::new());
        thin.write_to(&mut png, image::ImageFormat::Png).expect("a picture");
        let raster = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png.into_inner());
        let image = format!("<image x=\"5\" y=\"5\" width=\"40\" height=\"20\" xlink:href=\"data:image/png;base64,{raster}\"/>");
        let with = objects(&of(&svg(&image)));
        let rasters: Vec<Vec<u8>> =
            with.iter().filter(|o| String::from_utf8_lossy(o).contains("/Subtype /Image")).map(|o| inflated(o)).collect();
        assert_eq!(rasters.first(), Some(&[200, 10, 30].repeat(3)));
    }
}
