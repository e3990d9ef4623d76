//! Large images of FITS files, row by row from the disk, so that a mosaic of any size opens at once and in little memory.
//!
//! Of a file that holds a plain image above [`LARGE_PIXELS`] only the headers are read (FITS 4.0, section 4); such an image has no
//! pixels in memory but [`Image::rows`], which reads parts of rows where they lie. The other units of the file are read as ever.
//! Of a tile-compressed image (FITS 4.0, section 10) the table of tiles stays, without its heap: tiles are fetched and unpacked as rows
//! of them are wanted, some rows of tiles ahead by all threads while rows are read one after the other, and at most [`KEEP_BYTES`] of
//! them are kept. Choice not taken: mapping the file into memory, which ends the program when the file is cut short meanwhile. What
//! cannot be read by place (files in gzip, cubes, files cut short) is read whole. Cost: one seek and one read a part of a row; of tiles
//! their unpacking, about 10 ns a pixel, and 24 B a tile.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::fits::{Fits, Hdu, Header, Kind, Scaling, Tiles, is_fits, tiles_wrong};
use crate::{Error, Image, Part, Result, Wcs};

/// Images of more pixels are read by rows: 4,096 × 4,096.
pub const LARGE_PIXELS: usize = 4096 * 4096;

const BLOCK: usize = 2880;
/// Headers longer than this are not looked at here.
const HEADER_MOST: usize = 64 << 20;
/// A primary unit without data, in the place of one that is an image read by rows.
const PRIMARY: &str = "SIMPLE  =                    T";

/// Unpacked tiles kept at most, bytes; more where a row of tiles is larger.
pub const KEEP_BYTES: usize = 32 << 20;

/// An image in a file.
#[derive(Debug)]
pub struct ImageRows {
    path: PathBuf,
    file: Mutex<File>,
    /// Rows, columns.
    shape: [usize; 2],
    pixels: Pixels,
}

#[derive(Debug)]
enum Pixels {
    /// One behind the other.
    Plain {
        /// Byte of the first pixel.
        start: u64,
        /// Bytes a pixel.
        width: usize,
        scaling: Scaling,
    },
    Tiled(Box<Tiled>),
}

/// A tile-compressed image.
#[derive(Debug)]
struct Tiled {
    tiles: Tiles,
    /// Number of the unit, for messages.
    hdu: Hdu,
    /// First byte and number of bytes in the file of what each tile has in each of [`Tiles::columns`].
    places: [Vec<(u64, u32)>; 3],
    kept: Mutex<Kept>,
}

/// Rows of tiles, each unpacked to lines of pixels; the one used last is at the end.
#[derive(Debug, Default)]
struct Kept {
    bands: VecDeque<(usize, Arc<Vec<f32>>)>,
    /// The row of tiles that was read last.
    last: Option<usize>,
}

impl Tiled {
    /// Lines of pixels of a row of tiles.
    fn band(&self, rows: &ImageRows, band: usize) -> Result<Arc<Vec<f32>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = kept.bands.iter().position(|(b, _)| *b == band) {
            if i + 1 < kept.bands.len()
                && let Some(found) = kept.bands.remove(i)
            {
                kept.bands.push_back(found);
            }
            kept.last = Some(band);
            return Ok(kept.bands.back().map(|(_, lines)| lines.clone()).unwrap_or_default());
        }
        let bytes = self.tiles.tile[1].min(rows.shape[0]) * rows.shape[1] * 4;
        let most = (KEEP_BYTES / bytes.max(1)).max(1);
        // Rows that follow each other are read ahead of.
        let ahead = if kept.last.is_some_and(|l| l + 1 == band) { (most / 2).clamp(1, 256) } else { 1 };
        let wanted: Vec<usize> = (band..(band + ahead).min(self.tiles.grid[1])).collect();
        let packed: Vec<_> = wanted.iter().map(|b| self.packed(rows, *b)).collect::<Result<_>>()?;
        let made: Vec<Vec<f32>> = wanted.par_iter().zip(&packed).map(|(b, p)| self.unpack(rows, *b, p)).collect::<Result<_>>()?;
        for (b, lines) in wanted.into_iter().zip(made).rev() {
            kept.bands.retain(|(known, _)| *known != b);
            kept.bands.push_back((b, Arc::new(lines)));
        }
        while kept.bands.len() > most.max(ahead) {
            kept.bands.pop_front();
        }
        kept.last = Some(band);
        Ok(kept.bands.back().map(|(_, lines)| lines.clone()).unwrap_or_default())
    }

    /// The bytes of the tiles of a row of tiles.
    fn packed(&self, rows: &ImageRows, band: usize) -> Result<Vec<[Vec<u8>; 3]>> {
        let across = self.tiles.grid[0];
        let mut file = rows.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = |(from, len): (u64, u32)| -> Result<Vec<u8>> {
            let mut bytes = vec![0; len as usize];
            if len > 0 {
                file.seek(SeekFrom::Start(from)).map_err(|e| Error::io(&rows.path, e))?;
                file.read_exact(&mut bytes).map_err(|e| Error::io(&rows.path, e))?;
            }
            Ok(bytes)
        };
        let mut one = |t: usize| -> Result<[Vec<u8>; 3]> {
            let mut of = |k: usize| self.places[k].get(t).map_or(Ok(Vec::new()), |p| read(*p));
            Ok([of(0)?, of(1)?, of(2)?])
        };
        (band * across..(band + 1) * across).map(&mut one).collect()
    }

    fn unpack(&self, rows: &ImageRows, band: usize, packed: &[[Vec<u8>; 3]]) -> Result<Vec<f32>> {
        let (columns, across, high) = (rows.shape[1], self.tiles.grid[0], self.tiles.tile[1]);
        let lines = high.min(rows.shape[0] - band * high);
        let mut out = vec![f32::NAN; lines * columns];
        for (k, bytes) in packed.iter().enumerate() {
            let [a, b, c] = bytes;
            let decoded = self.tiles.decode(band * across + k, [a, b, c]);
            let name = rows.path.display().to_string();
            let (values, dims, _) = decoded.map_err(|why| tiles_wrong(&name, &self.hdu, why))?;
            for (j, line) in values.chunks(dims[0].max(1)).take(lines).enumerate() {
                let at = j * columns + k * self.tiles.tile[0];
                for (out, v) in out[at..at + line.len()].iter_mut().zip(line) {
                    *out = *v as f32;
                }
            }
        }
        Ok(out)
    }
}

impl ImageRows {
    /// The pixels of a row from column `first` on, as many as `out` holds: after BSCALE and BZERO, NaN for BLANK. Row 0 is the
    /// bottom row, as in FITS.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read any more, [`Error::Format`] when there are no such pixels.
    pub fn read(&self, row: usize, first: usize, out: &mut [f32]) -> Result<()> {
        if row >= self.shape[0] || first + out.len() > self.shape[1] {
            let why = format!("there is no row {row} with columns {first} to {} in {:?}", first + out.len(), self.shape);
            return Err(Error::format(self.path.display().to_string(), why));
        }
        let (start, width, scaling) = match &self.pixels {
            Pixels::Plain { start, width, scaling } => (start, width, scaling),
            Pixels::Tiled(tiled) => {
                let high = tiled.tiles.tile[1];
                let lines = tiled.band(self, row / high)?;
                let from = row % high * self.shape[1] + first;
                out.copy_from_slice(&lines[from..from + out.len()]);
                return Ok(());
            }
        };
        let mut raw = vec![0; out.len() * width];
        let from = start + ((row * self.shape[1] + first) * width) as u64;
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(from)).map_err(|e| Error::io(&self.path, e))?;
            file.read_exact(&mut raw).map_err(|e| Error::io(&self.path, e))?;
        }
        if scaling.is_plain_f32() {
            for (out, c) in out.iter_mut().zip(raw.as_chunks::<4>().0) {
                *out = f32::from_be_bytes(*c);
            }
        } else {
            scaling.decode(&raw, |i, v| out[i] = v as f32);
        }
        Ok(())
    }
}

/// A unit of a file and where it lies.
pub(crate) struct Place {
    pub hdu: Hdu,
    /// Bytes of the file: header and data with their padding.
    pub whole: std::ops::Range<u64>,
    pub data: u64,
    large: bool,
}

/// The parts of a FITS file that holds a large image; `None` for every other file.
///
/// # Errors
/// As [`crate::read`].
pub(crate) fn read_large(path: &Path) -> Result<Option<(Vec<Part>, Vec<String>)>> {
    read_above(path, LARGE_PIXELS)
}

fn read_above(path: &Path, most: usize) -> Result<Option<(Vec<Part>, Vec<String>)>> {
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    let Ok(len) = file.metadata().map(|m| m.len()) else { return Ok(None) };
    // Tiles may be packed a hundred times; the headers of a file say soon how large its images are.
    if len <= (most / 128) as u64 {
        return Ok(None);
    }
    let Some(places) = units(&mut file, len, most) else { return Ok(None) };
    if !places.iter().any(|p| p.large) {
        return Ok(None);
    }
    let name = path.display().to_string();
    let mut rest = Vec::new();
    for place in &places {
        if !place.large {
            file.seek(SeekFrom::Start(place.whole.start)).map_err(|e| Error::io(path, e))?;
            let mut part = (&mut file).take(place.whole.end - place.whole.start);
            part.read_to_end(&mut rest).map_err(|e| Error::io(path, e))?;
        } else if place.hdu.number == 0 {
            rest.extend(primary());
        }
    }
    let fits = Fits::open(&name, &rest)?;
    let mut images = Vec::new();
    for place in places.iter().filter(|p| p.large) {
        let hdu = &place.hdu;
        let axes = hdu.axes();
        let header = hdu.header.as_text();
        let mut wcs = Wcs::from_header(&header);
        if let Some(wcs) = &mut wcs {
            crate::fits_products::add_distortions(&fits, hdu, wcs);
        }
        let shape = [axes[1], axes[0]];
        let own = File::open(path).map_err(|e| Error::io(path, e))?;
        let pixels = if hdu.is_compressed() {
            Pixels::Tiled(Box::new(tiled(path, &mut file, place)?))
        } else {
            Pixels::Plain {
                start: place.data,
                width: (hdu.bitpix().unsigned_abs() / 8) as usize,
                scaling: Scaling::of(&hdu.header, hdu.bitpix()),
            }
        };
        let rows = ImageRows { path: path.to_owned(), file: Mutex::new(own), shape, pixels };
        images.push(Part::Image(Image {
            name: fits.title(hdu),
            shape,
            unit: hdu.header.text("BUNIT").unwrap_or("").into(),
            wcs,
            min: f64::NAN,
            max: f64::NAN,
            mean: f64::NAN,
            header,
            rows: Some(Arc::new(rows)),
            ..Image::default()
        }));
    }
    // What else there is comes after the images, as tables do.
    let (others, warnings) = match fits.hdus.iter().any(|h| h.kind() != Kind::Empty) {
        true => crate::fits_products::products_with_warnings(&name, &rest)?,
        false => (Vec::new(), Vec::new()),
    };
    images.extend(others);
    Ok(Some((images, warnings)))
}

/// The tiles of a unit: its table is read, its heap is not.
fn tiled(path: &Path, file: &mut File, place: &Place) -> Result<Tiled> {
    let name = path.display().to_string();
    let size = |key: &str| place.hdu.header.int(key).and_then(|v| u64::try_from(v).ok()).unwrap_or(0);
    let fixed = size("NAXIS1").saturating_mul(size("NAXIS2"));
    let heap = place.data + place.hdu.header.int("THEAP").and_then(|v| u64::try_from(v).ok()).unwrap_or(fixed);
    let mut bytes = primary();
    file.seek(SeekFrom::Start(place.whole.start)).map_err(|e| Error::io(path, e))?;
    let wanted = (place.data - place.whole.start).saturating_add(fixed);
    file.take(wanted).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    let fits = Fits::open(&name, &bytes)?;
    let hdu = fits.hdus.get(1).ok_or_else(|| Error::format(&name, "its table of tiles cannot be read"))?;
    let table = fits.bin_table(hdu)?;
    let tiles = Tiles::new(&name, &place.hdu, &table)?;
    let end = place.whole.end;
    let of = |column: Option<usize>| -> Vec<(u64, u32)> {
        let Some(column) = column else { return Vec::new() };
        let one = |t: usize| match table.on_heap(t, column) {
            // What would lie beyond the unit is not there.
            Some((from, len)) => {
                let from = heap.saturating_add(from as u64);
                let there = from.checked_add(len as u64).is_some_and(|to| to <= end);
                u32::try_from(len).ok().filter(|_| there).map_or((0, 0), |len| (from, len))
            }
            None => (0, 0),
        };
        (0..tiles.count).map(one).collect()
    };
    let places = tiles.columns.map(of);
    Ok(Tiled { hdu: place.hdu.clone(), places, kept: Mutex::default(), tiles })
}

/// The header of an empty primary unit.
pub(crate) fn primary() -> Vec<u8> {
    let cards = [PRIMARY, "BITPIX  =                    8", "NAXIS   =                    0", "END"];
    let mut block: Vec<u8> = cards.iter().flat_map(|c| format!("{c:80}").into_bytes()).collect();
    block.resize(BLOCK, b' ');
    block
}

/// The units of a file by their headers alone; `None` where something is out of the ordinary.
pub(crate) fn units(file: &mut File, len: u64, most: usize) -> Option<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    let mut at = 0u64;
    while at < len {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(at)).ok()?;
        let (header, used) = loop {
            let before = bytes.len();
            (&mut *file).take(BLOCK as u64).read_to_end(&mut bytes).ok()?;
            if before == 0 && (!is_fits(&bytes) || (!places.is_empty() && !bytes.starts_with(b"XTENSION"))) {
                return (!places.is_empty()).then_some(places);
            }
            let (header, used, ended) = Header::parse(&bytes);
            if ended {
                break (header, used);
            }
            if bytes.len() == before || bytes.len() > HEADER_MOST {
                return None;
            }
        };
        let data = at + used.next_multiple_of(BLOCK) as u64;
        let hdu = Hdu { header, number: places.len(), data: 0..0, truncated: false };
        let size = hdu.data_len()? as u64;
        let end = data.checked_add(size.checked_next_multiple_of(BLOCK as u64)?)?;
        if data + size > len {
            return None;
        }
        let axes = hdu.axes();
        let plain = hdu.kind() == Kind::Image && matches!(hdu.bitpix(), 8 | 16 | 32 | 64 | -32 | -64);
        let large = plain
            && axes.len() >= 2
            && axes[2..].iter().all(|n| *n == 1)
            && axes[0].checked_mul(axes[1]).is_some_and(|n| n > most);
        places.push(Place { hdu, whole: at..end.min(len), data, large });
        at = end;
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(cards: &[String], data: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = cards.iter().flat_map(|c| format!("{c:80}").into_bytes()).collect();
        out.extend(format!("{:80}", "END").into_bytes());
        out.resize(out.len().next_multiple_of(BLOCK), b' ');
        out.extend(data);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
        out
    }

    fn card(key: &str, v: impl std::fmt::Display) -> String {
        format!("{key:8}= {v:>20}")
    }

    #[test]
    fn tiles_are_read_by_rows_as_they_are_read_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/fits/compressed");
        let names = ["m13_rice.fits", "m13_gzip.fits", "m13_hcomp.fits", "m13_plio.fits", "compressed_with_nan.fits"];
        for name in names {
            let path = folder.join(name);
            let whole = crate::read(&path).unwrap();
            let Some(Part::Image(whole)) = whole.iter().find(|p| matches!(p, Part::Image(_))) else { panic!("{name}") };
            assert!(whole.rows.is_none(), "{name} is small");
            let (parts, _) = read_above(&path, 100).unwrap().expect(name);
            let Some(Part::Image(image)) = parts.first() else { panic!("{name}") };
            assert!(image.rows.is_some() && image.pixels.is_empty() && image.shape == whole.shape, "{name}");
            let [rows, columns] = image.shape;
            // Forwards, as levels are made, then here and there.
            let order = (0..rows).chain([rows - 1, 0, rows / 2, rows / 2 - 1, 3]);
            for row in order {
                let mut line = vec![0.0; columns - 2];
                image.read_row(row, 1, &mut line).unwrap();
                let there = &whole.pixels[row * columns + 1..][..columns - 2];
                assert!(
                    line.iter().zip(there).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())),
                    "{name} {row}"
                );
            }
            let counted = image.scanned().unwrap();
            // The whole image is counted before it is rounded to single precision.
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
            assert!(close(counted.min, whole.min) && close(counted.max, whole.max) && counted.nan == whole.nan, "{name}");
        }
    }

    #[test]
    fn few_rows_of_tiles_are_kept() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/fits/compressed/m13_rice.fits");
        let (parts, _) = read_above(&path, 100).unwrap().unwrap();
        let Some(Part::Image(image)) = parts.first() else { panic!("an image") };
        let Pixels::Tiled(tiled) = &image.rows.as_ref().unwrap().pixels else { panic!("tiles") };
        let mut line = vec![0.0; image.shape[1]];
        for row in 0..image.shape[0] {
            image.read_row(row, 0, &mut line).unwrap();
            let kept = tiled.kept.lock().unwrap();
            assert!(kept.bands.iter().map(|(_, l)| l.len() * 4).sum::<usize>() <= KEEP_BYTES + image.shape[1] * 4 * 300);
            assert!(kept.bands.back().is_some_and(|(b, _)| *b == row / tiled.tiles.tile[1]));
        }
    }

    #[test]
    fn a_large_image_is_read_by_rows_and_what_stands_beside_it_whole() {
        let (w, h) = (5000usize, 3400usize);
        let value = |x: usize, y: usize| ((x * 7 + y * 13) % 30_000) as i16;
        let large: Vec<u8> = (0..h).flat_map(|y| (0..w).flat_map(move |x| value(x, y).to_be_bytes())).collect();
        let small: Vec<u8> = (0..12).flat_map(|i| (i as f32).to_be_bytes()).collect();
        let image = |first: String, bitpix: i64, w: usize, h: usize| {
            vec![first, card("BITPIX", bitpix), card("NAXIS", 2), card("NAXIS1", w), card("NAXIS2", h)]
        };
        let mut a = image(card("SIMPLE", "T"), 16, w, h);
        a.extend([card("BZERO", 0.5), card("BSCALE", 2.0), card("BLANK", 13), "BUNIT   = 'adu     '".into()]);
        let mut b = image("XTENSION= 'IMAGE   '".into(), -32, 4, 3);
        b.extend([card("PCOUNT", 0), card("GCOUNT", 1), "EXTNAME = 'SMALL   '".into()]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.fits");
        let bytes = [unit(&a, &large), unit(&b, &small)].concat();
        std::fs::write(&path, &bytes).unwrap();
        let parts = crate::read(&path).unwrap();
        let images: Vec<&Image> = parts.iter().filter_map(|p| if let Part::Image(i) = p { Some(i) } else { None }).collect();
        assert_eq!(images.iter().map(|i| i.shape).collect::<Vec<_>>(), [[h, w], [3, 4]]);
        let big = images[0];
        assert!(big.pixels.is_empty() && big.rows.is_some() && images[1].pixels.len() == 12);
        assert_eq!((big.unit.as_str(), big.name.as_str(), images[1].name.as_str()), ("adu", "big", "SMALL"));
        // The same as when it is read whole.
        let whole = crate::read_bytes("big.fits", bytes.clone(), None).unwrap();
        let Some(Part::Image(whole)) = whole.first() else { panic!("an image") };
        for row in [0, 1, 1700, h - 1] {
            let mut line = vec![0.0; 777];
            big.read_row(row, 4000, &mut line).unwrap();
            assert!(line.iter().zip(&whole.pixels[row * w + 4000..]).all(|(a, b)| a.to_bits() == b.to_bits()), "row {row}");
        }
        assert_eq!(big.value(2, 0), Some(28.5));
        assert!(big.value(0, 1).unwrap().is_nan() && big.value(w, 0).is_none());
        assert!(big.read_row(h, 0, &mut [0.0]).is_err() && big.read_row(0, w, &mut [0.0]).is_err());
        let (a, b) = (big.cutout(4990.0, 5.0, 40), whole.cutout(4990.0, 5.0, 40));
        assert!(a.pixels.iter().zip(&b.pixels).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
        let counted = big.scanned().unwrap();
        assert_eq!((counted.min, counted.max, counted.nan), (whole.min, whole.max, whole.nan));
        assert!((counted.mean - whole.mean).abs() < 1e-9 * whole.mean.abs());
        let sample = big.sample(10_000).unwrap();
        assert!(sample.values.len() <= 10_000 && sample.values.len() > 5_000);
        assert_eq!(sample.values[sample.shape[1] + 1], big.value(sample.step, sample.step).unwrap());
        // A file cut short is read whole, with its warning.
        std::fs::write(&path, &bytes[..30_000_000]).unwrap();
        assert!(read_large(&path).unwrap().is_none());
        let parts = crate::read(&path).unwrap();
        assert!(matches!(&parts[0], Part::Image(i) if i.rows.is_none() && i.pixels.len() == w * h));
    }
}
