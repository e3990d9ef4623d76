//! Faces in a PDF (ISO 32000-1, 9.7): of each the letters that are written, as TrueType, with their widths and what they mean, so that
//! words can be marked, found and edited.
//!
//! Codes are the numbers of the letters in the part of the face that is kept (`Identity-H`). Cost: some kB a face.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use resvg::usvg::fontdb::{Database, ID};
use resvg::usvg::layout::PositionedGlyph;
use skrifa::instance::{LocationRef, Size};
use skrifa::raw::TableProvider as _;
use skrifa::{FontRef, GlyphId, MetadataProvider as _};
use subsetter::GlyphRemapper;

use super::pdf::stream;

/// Objects that a face takes.
pub(super) const OBJECTS: usize = 5;

struct Face {
    id: ID,
    data: Vec<u8>,
    index: u32,
    name: String,
    /// Units of its em.
    em: f32,
    kept: GlyphRemapper,
    /// What the letters mean, by their codes.
    means: BTreeMap<u16, String>,
}

/// The faces of a page.
#[derive(Default)]
pub(super) struct Faces {
    all: Vec<Face>,
}

impl Faces {
    /// The code of a letter and the number of its face, which is taken up; `None` where the face is none of outlines of TrueType.
    pub(super) fn code(&mut self, db: &Database, glyph: &PositionedGlyph) -> Option<(usize, u16)> {
        let n = match self.all.iter().position(|f| f.id == glyph.font) {
            Some(n) => n,
            None => {
                let name = db.face(glyph.font)?.post_script_name.clone();
                let (data, index) = db.with_face_data(glyph.font, |data, index| (data.to_vec(), index))?;
                let font = FontRef::from_index(&data, index).ok()?;
                // A face of many weights would be kept in its usual one, whichever is drawn.
                if font.glyf().is_err() || !font.axes().is_empty() {
                    return None;
                }
                let em = f32::from(font.metrics(Size::unscaled(), LocationRef::default()).units_per_em);
                self.all.push(Face { id: glyph.font, data, index, name, em, kept: GlyphRemapper::new(), means: BTreeMap::new() });
                self.all.len() - 1
            }
        };
        let face = &mut self.all[n];
        let code = face.kept.remap(u16::try_from(glyph.id.0).ok()?);
        face.means.entry(code).or_insert_with(|| glyph.text.clone());
        Some((n, code))
    }

    /// Units of the em of a face.
    pub(super) fn em(&self, face: usize) -> f32 {
        self.all[face].em
    }

    /// Names and numbers for the resources of the page, where the first object of them has the number `first`.
    pub(super) fn names(&self, first: usize) -> String {
        (0..self.all.len()).map(|n| format!("/F{n} {} 0 R ", first + n * OBJECTS)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// [`OBJECTS`] objects a face; `None` where one cannot be taken apart.
    pub(super) fn objects(&self, first: usize) -> Option<Vec<Vec<u8>>> {
        let mut objects = Vec::new();
        for (n, face) in self.all.iter().enumerate() {
            let at = first + n * OBJECTS;
            let part = subsetter::subset(&face.data, face.index, &face.kept).ok()?;
            let font = FontRef::from_index(&face.data, face.index).ok()?;
            let whole = font.metrics(Size::unscaled(), LocationRef::default());
            let glyphs = font.glyph_metrics(Size::unscaled(), LocationRef::default());
            let per_mille = |v: f32| (v * 1000.0 / face.em).round() as i32;
            let widths: Vec<String> = face
                .kept
                .remapped_gids()
                .map(|old| per_mille(glyphs.advance_width(GlyphId::new(old.into())).unwrap_or(0.0)).to_string())
                .collect();
            // Six letters before the name say that it is a part, and which.
            let tag: String = (0..6).map(|i| char::from(b'A' + (n / 26usize.pow(i) % 26) as u8)).rev().collect();
            let name: String = face.name.chars().filter(char::is_ascii_alphanumeric).collect();
            let name = format!("{tag}+{}", if name.is_empty() { "Face" } else { &name });
            let b = whole.bounds.unwrap_or_default();
            let bounds = [b.x_min, b.y_min, b.x_max, b.y_max].map(|v| per_mille(v).to_string()).join(" ");
            let (ascent, descent) = (per_mille(whole.ascent), per_mille(whole.descent));
            let capitals = per_mille(whole.cap_height.unwrap_or(whole.ascent));
            objects.push(
                format!(
                    "<< /Type /Font /Subtype /Type0 /BaseFont /{name} /Encoding /Identity-H /DescendantFonts [{} 0 R] /ToUnicode {} 0 R >>",
                    at + 1,
                    at + 4
                )
                .into_bytes(),
            );
            objects.push(
                format!(
                    "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{name} /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) \
                     /Supplement 0 >> /FontDescriptor {} 0 R /CIDToGIDMap /Identity /DW 0 /W [0 [{}]] >>",
                    at + 2,
                    widths.join(" ")
                )
                .into_bytes(),
            );
            objects.push(
                format!(
                    "<< /Type /FontDescriptor /FontName /{name} /Flags 4 /FontBBox [{bounds}] /ItalicAngle 0 /Ascent {ascent} \
                     /Descent {descent} /CapHeight {capitals} /StemV 80 /FontFile2 {} 0 R >>",
                    at + 3
                )
                .into_bytes(),
            );
            objects.push(stream(&format!("/Length1 {} ", part.len()), &part));
            objects.push(stream("", meanings(&face.means).as_bytes()));
        }
        Some(objects)
    }
}

/// A CMap from codes to Unicode (Adobe Technical Note 5014).
fn meanings(means: &BTreeMap<u16, String>) -> String {
    let mut out = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) \
                   /Supplement 0 >> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\n\
                   endcodespacerange\n"
        .to_owned();
    let all: Vec<(&u16, &String)> = means.iter().filter(|(_, text)| !text.is_empty()).collect();
    // At most a hundred at a time.
    for some in all.chunks(100) {
        let _ = writeln!(out, "{} beginbfchar", some.len());
        for (code, text) in some {
            let hex: String = text.encode_utf16().map(|u| format!("{u:04X}")).collect();
            let _ = writeln!(out, "<{code:04X}> <{hex}>");
        }
        out.push_str("endbfchar\n");
    }
    out.push_str("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n");
    out
}
