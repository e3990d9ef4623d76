//! Colour pictures: PNG and JPEG previews.
//!
//! Decoded by the `image` crate to 8-bit RGBA under limits on size, so that a small file cannot
//! ask for all memory.

use crate::{Error, Result};

/// Longest side that is decoded, pixels.
const MAX_SIDE: u32 = 32_768;
/// Most memory a picture may take while it is decoded, bytes.
const MAX_BYTES: u64 = 1 << 30;

/// A picture in colour: sRGB, row 0 at the top.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Name for a person.
    pub name: String,
    /// Rows, columns.
    pub shape: [usize; 2],
    /// RGBA, 4 bytes a pixel, not premultiplied.
    pub rgba: Vec<u8>,
}

impl Picture {
    /// Decode a PNG or JPEG; `name` is for the person and for messages.
    ///
    /// # Errors
    /// [`Error::Format`] when it is neither, broken, or too large.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let mut reader = image::ImageReader::new(std::io::Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| Error::format(name, e.to_string()))?;
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_BYTES);
        reader.limits(limits);
        let picture = reader.decode().map_err(|e| Error::format(name, format!("not a PNG or JPEG that can be shown: {e}")))?;
        let rgba = picture.into_rgba8();
        Ok(Self { name: name.into(), shape: [rgba.height() as usize, rgba.width() as usize], rgba: rgba.into_raw() })
    }

    /// A square of `size` pixels around pixel (`x` from the left, `y` from the top), transparent
    /// where it hangs over the edge.
    pub fn crop(&self, x: f64, y: f64, size: usize) -> Self {
        let [rows, columns] = self.shape;
        let corner = |v: f64| (v - (size as f64 - 1.0) / 2.0).round().clamp(-1e9, 1e9) as i64;
        let (x0, y0) = (corner(x), corner(y));
        let (from, to) = (x0.clamp(0, columns as i64), (x0 + size as i64).clamp(0, columns as i64));
        let mut rgba = vec![0; size * size * 4];
        for (r, line) in rgba.chunks_mut((size * 4).max(1)).enumerate() {
            let row = y0 + r as i64;
            if (0..rows as i64).contains(&row) && from < to {
                let start = row as usize * columns;
                line[(from - x0) as usize * 4..(to - x0) as usize * 4]
                    .copy_from_slice(&self.rgba[(start + from as usize) * 4..(start + to as usize) * 4]);
            }
        }
        Self { name: self.name.clone(), shape: [size, size], rgba }
    }

    /// RGBA of a pixel (`y` from the top).
    pub fn pixel(&self, x: usize, y: usize) -> Option<[u8; 4]> {
        let at = (y * self.shape[1] + x) * 4;
        (x < self.shape[1]).then(|| self.rgba.get(at..at + 4)?.first_chunk::<4>().copied()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn png_comes_back_and_crops() {
        let rgba: Vec<u8> = (0..4 * 6).map(|v| v * 10).collect();
        let mut png = Vec::new();
        image::RgbaImage::from_raw(3, 2, rgba.clone())
            .unwrap()
            .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)
            .unwrap();
        let picture = Picture::decode("p", &png).unwrap();
        assert_eq!((picture.shape, &picture.rgba), ([2, 3], &rgba));
        let crop = picture.crop(2.0, 1.0, 3);
        assert_eq!(crop.pixel(1, 1), picture.pixel(2, 1));
        assert_eq!(crop.pixel(2, 2), Some([0; 4]));
        assert!(Picture::decode("p", b"hello").is_err());
        assert!(Picture::decode("p", &png[..20]).is_err());
    }
}
