//! The SVG of a picture as PDF (ISO 32000-1): axes, marks and letters stay vectors, rasters stay rasters.
//!
//! usvg has already turned everything into paths with plain colours, pictures and groups, which are few operators of PDF: this writes
//! one page of them, its content and rasters deflated, transparency as soft masks and graphics states. Letters are outlines of the
//! bundled faces, so that no font need be there where it is read; they cannot be marked as text. Choices not taken: `svg2pdf` and
//! `krilla-svg`, which read SVG by older copies of usvg and would bring those in beside ours; embedding fonts, for words of which the
//! page has a few dozen. A pixel of the drawing is 1/96 inch. Cost: one pass over the shapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use asterism_session::{Error, Result};
use resvg::tiny_skia::{PathSegment, Transform};
use resvg::usvg::{FillRule, Group, Image, ImageKind, LineCap, LineJoin, Node, Paint, Path, Tree};

/// Points a pixel.
const POINT: f32 = 0.75;

/// The page as it is being written.
#[derive(Default)]
struct Page {
    content: String,
    /// Numbers of the graphics states by the opacities of fill and stroke, in thousandths.
    states: BTreeMap<(u32, u32), usize>,
    images: Vec<Raster>,
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
    let mut page = Page::default();
    // y grows downwards in a drawing, upwards on a page.
    let _ = writeln!(page.content, "{} 0 0 {} 0 {} cm", number(POINT), number(-POINT), number(h));
    page.group(tree.root(), 1.0)?;
    Ok(page.file(w, h))
}

/// Short, never with an exponent.
fn number(v: f32) -> String {
    let text = format!("{v:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "-0" | "" | "NaN" | "inf" | "-inf") { "0".into() } else { text.into() }
}

fn matrix(t: Transform) -> String {
    let rough = |v: f32| format!("{v:.6}");
    format!("{} {} {} {} {} {} cm", rough(t.sx), rough(t.ky), rough(t.kx), rough(t.sy), number(t.tx), number(t.ty))
}

impl Page {
    fn group(&mut self, group: &Group, opacity: f32) -> Result<()> {
        let opacity = opacity * group.opacity().get();
        let clipped =
            group.clip_path().is_some_and(|clip| self.clip(clip.root(), group.abs_transform().pre_concat(clip.transform())));
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, opacity)?,
                Node::Path(path) => self.path(path, opacity),
                Node::Image(image) => self.image(image, opacity)?,
                Node::Text(text) => self.group(text.flattened(), opacity)?,
            }
        }
        if clipped {
            self.content.push_str("Q\n");
        }
        Ok(())
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
        let colour = |paint: &Paint| match paint {
            Paint::Color(c) => Some([c.red, c.green, c.blue].map(|v| number(f32::from(v) / 255.0)).join(" ")),
            _ => None,
        };
        let fill = path.fill().and_then(|f| Some((colour(f.paint())?, f.opacity().get() * opacity, f.rule())));
        let stroke = path.stroke().and_then(|s| Some((colour(s.paint())?, s)));
        if !path.is_visible() || (fill.is_none() && stroke.is_none()) {
            return;
        }
        let thousandths = |v: f32| (v.clamp(0.0, 1.0) * 1000.0).round() as u32;
        let state = (
            fill.as_ref().map_or(1000, |f| thousandths(f.1)),
            stroke.as_ref().map_or(1000, |s| thousandths(s.1.opacity().get() * opacity)),
        );
        let n = self.states.len();
        let state = *self.states.entry(state).or_insert(n);
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
            ImageKind::SVG(tree) => return self.group(tree.root(), opacity),
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

    /// All of it with its objects: 1 catalogue, 2 pages, 3 page, 4 content, then graphics states, then rasters with their masks.
    fn file(&self, w: f32, h: f32) -> Vec<u8> {
        let mut objects: Vec<Vec<u8>> = Vec::new();
        let first_state = 5;
        let mut next = first_state + self.states.len();
        let mut names = String::new();
        for i in 0..self.images.len() {
            let _ = write!(names, "/I{i} {next} 0 R ");
            next += if self.images[i].alpha.is_some() { 2 } else { 1 };
        }
        let states: String = (0..self.states.len()).map(|i| format!("/G{i} {} 0 R ", first_state + i)).collect();
        objects.push(b"<< /Type /Catalog /Pages 2 0 R >>".to_vec());
        objects.push(b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec());
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {} {}] /Contents 4 0 R /Group << /S /Transparency /CS /DeviceRGB >> \
                 /Resources << /ExtGState << {states}>> /XObject << {names}>> >> >>",
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
        out
    }
}

/// A stream object, deflated.
fn stream(head: &str, bytes: &[u8]) -> Vec<u8> {
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
        // Letters are shapes: their curves are many more.
        let words = objects(&of(&svg("<text x=\"20\" y=\"40\" font-size=\"12\" fill=\"#ffffff\">flux Å</text>")));
        let words = String::from_utf8(inflated(&words[3])).expect("text");
        assert!(words.matches(" c\n").count() > content.matches(" c\n").count() + 10, "{words}");
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
