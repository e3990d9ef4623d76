//! HATS catalogues at an address: the cells that a cone meets, and of their Parquet files only the columns, the groups of rows and so
//! the bytes that are wanted.
//!
//! The small files that describe the catalogue (properties, the list of cells) come whole, a megabyte or so at most for the largest
//! catalogues there are. Of a cell's file its end comes first (`Range: bytes=-65536`, RFC 9110 §14), which holds the footer, then the
//! wanted ranges ([`asterism_data::parquet_parts`]); rows of a cell go on before the next cell is asked for. Cells come one after the
//! other: their order is that of the rows. A server that has no ranges sends whole files: they are taken up to the limit of an answer,
//! and a person is told once. A file that changes while it is read is an error, since its footer would speak of other bytes.
//!
//! IVOA Note "HATS: a standard for the hierarchical adaptive tiling scheme" (2025).

use std::cell::{Cell as Held, RefCell};
use std::path::PathBuf;

use asterism_data::hats::{Catalogue, Cone, MOST_ROWS, Part};
use asterism_data::parquet_parts::{TAIL_BYTES, Wanted, read_ranges};
use asterism_data::{Error as DataError, Expr, RowSet, Table};
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};

use crate::error::size_text;
use crate::http::{Call, Cancelled, Out, Response};
use crate::{Answer, Client, Error, Event, Request, Result, check_position};

/// Bytes of a file that describes a catalogue, at most.
const DESCRIPTION_BYTES: usize = 64 << 20;

/// The first and last byte, and the length of the whole, of a `Content-Range`.
fn content_range(response: &Response) -> Option<(u64, u64, u64)> {
    let text = response.inner.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (first.trim().parse().ok()?, last.trim().parse().ok()?, total.trim().parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

impl Client {
    /// Rows of a catalogue.
    pub(crate) fn search_hats(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let Request::Hats { base, position, columns, filter, max_rows } = request else {
            return Err(Error::Unsupported { service: "HATS".into(), what: "this request is not for a catalogue".into() });
        };
        self.http.url(base)?;
        let cone = match *position {
            Some((ra_deg, dec_deg, radius_deg)) => {
                check_position(ra_deg, dec_deg, radius_deg)?;
                Some(Cone { ra_deg, dec_deg, radius_deg })
            }
            None => None,
        };
        let filter = filter.as_deref().map(Expr::parse).transpose()?;
        let folder = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), e))?;
        // What the network said is better than what the reader makes of it.
        let failed: RefCell<Option<Error>> = RefCell::new(None);
        let count = Held::new(0usize);
        let fetch = |address: &str| -> asterism_data::Result<PathBuf> {
            let got = self.http.url(address).and_then(|url| {
                let response = self.http.send(&Call::get(url), cancelled)?;
                self.http.read_all(response, DESCRIPTION_BYTES, cancelled)
            });
            match got {
                Ok(bytes) => {
                    count.set(count.get() + 1);
                    let path = folder.path().join(format!("{}", count.get()));
                    std::fs::write(&path, bytes).map_err(|e| DataError::io(&path, e))?;
                    Ok(path)
                }
                Err(e) => {
                    let text = e.to_string();
                    // What is not there may be elsewhere; all else ends the search.
                    if !matches!(e, Error::Status { code: 403 | 404 | 410, .. }) {
                        *failed.borrow_mut() = Some(e);
                    }
                    Err(DataError::format(address, text))
                }
            }
        };
        let told = |e: DataError| failed.borrow_mut().take().unwrap_or(Error::Data(e));
        let catalogue = Catalogue::open(base, &fetch).map_err(&told)?;
        if let Some(e) = failed.borrow_mut().take() {
            return Err(e);
        }
        let service = catalogue.name.clone();
        let refuse = |what: &str| Err(Error::Unsupported { service: service.clone(), what: what.into() });
        if catalogue.kind == "index" {
            return refuse("this is an index of a catalogue: give the address of the catalogue itself");
        }
        if cone.is_none() && max_rows.is_none() && catalogue.rows.is_none_or(|n| n > MOST_ROWS) {
            return refuse("the catalogue is too large to be fetched whole: give a position and a radius, or a number of rows");
        }
        if catalogue.properties.get("hats_npix_suffix").is_some_and(|s| s == "/") {
            return refuse(
                "each cell of it is a folder of files, which cannot be listed over the network: fetch the catalogue's folder",
            );
        }
        let part = Part { cone, columns: columns.clone() };
        // A predicate may speak of columns that are not wanted.
        let mut reading = Part { cone, columns: catalogue.columns_for(&part) };
        if let (Some(filter), false) = (&filter, columns.is_empty()) {
            let more: Vec<String> = filter.columns().into_iter().filter(|c| !reading.columns.contains(c)).collect();
            reading.columns.extend(more);
        }
        let cells = match &cone {
            Some(cone) => catalogue.cells_for(cone),
            None => catalogue.cells.clone(),
        };
        let limit = max_rows.unwrap_or(usize::MAX);
        let mut answer = Answer { url: catalogue.location.clone(), ..Answer::default() };
        let (mut bytes, mut files) = (0u64, 0usize);
        for (i, cell) in cells.iter().enumerate() {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            out.send(Event::Progress { stage: "cells".into(), done: i as u64, of: Some(cells.len() as u64) });
            let index = cone.as_ref().and_then(|c| catalogue.index_for(*cell, c));
            let wanted = Wanted { columns: reading.columns.clone(), index };
            let address = catalogue.path_of(*cell);
            files += 1;
            let whole = self.ranged(&address, &wanted, cancelled, &mut bytes, &mut |table| {
                let mut table = catalogue.keep(table, &Part { cone, columns: Vec::new() })?;
                if let Some(filter) = &filter {
                    let rows = filter.rows(&table)?;
                    table = table.take(&rows)?;
                }
                if !columns.is_empty() {
                    table = table.select(columns)?;
                }
                let room = limit - out.rows();
                if table.rows() > room {
                    answer.truncated = true;
                    table = table.take(&RowSet::from_rows(table.rows(), 0..room))?;
                }
                if table.rows() > 0 {
                    out.send(Event::Rows(table));
                }
                Ok(!answer.truncated)
            })?;
            if whole && answer.warnings.is_empty() {
                let text = "the server sends no parts of files, so whole files were fetched".to_owned();
                out.send(Event::Note(text.clone()));
                answer.warnings.push(text);
            }
            if answer.truncated || out.rows() >= limit {
                answer.truncated |= i + 1 < cells.len();
                break;
            }
        }
        if out.rows() == 0 {
            // Nothing there, and still a table of these columns.
            let table = catalogue.columns(&fetch).map_err(&told)?;
            out.send(Event::Rows(if columns.is_empty() { table } else { table.select(columns)? }));
        }
        answer.text = format!("{files} of {} files, {}", catalogue.cells.len(), size_text(bytes));
        Ok(answer)
    }

    /// Parts of one Parquet file; whether the whole had to be fetched. `bytes` counts what came.
    fn ranged(
        &self,
        address: &str,
        wanted: &Wanted,
        cancelled: Cancelled,
        bytes: &mut u64,
        on: &mut dyn FnMut(Table) -> asterism_data::Result<bool>,
    ) -> Result<bool> {
        let url = self.http.url(address)?;
        let ask = |range: String, tag: Option<&str>| {
            let mut call = Call::file(url.clone());
            call.headers.push((RANGE, range));
            if let Some(tag) = tag {
                call.headers.push((IF_RANGE, tag.to_owned()));
            }
            self.http.send(&call, cancelled)
        };
        let most = usize::try_from(self.http.answer_limit()).unwrap_or(usize::MAX);
        let response = ask(format!("bytes=-{TAIL_BYTES}"), None)?;
        let service = response.service.clone();
        let tag = response.inner.headers().get(ETAG).and_then(|t| t.to_str().ok()).map(str::to_owned);
        let tag = tag.filter(|t| t.starts_with('"'));
        let partial = response.inner.status().as_u16() == 206;
        let place = content_range(&response);
        let (len, tail) = match place.filter(|_| partial) {
            Some((first, last, total)) => {
                let tail = self.http.read_all(response, TAIL_BYTES as usize, cancelled)?;
                if last + 1 != total || tail.len() as u64 != total - first {
                    let message = format!("it answered a question for the end of {address} with other bytes");
                    return Err(Error::service(&service, message));
                }
                (total, tail)
            }
            None if partial => {
                return Err(Error::service(&service, format!("it sent a part of {address} and did not say which")));
            }
            None => {
                let whole = self.http.read_all(response, most, cancelled)?;
                (whole.len() as u64, whole)
            }
        };
        *bytes += tail.len() as u64;
        let whole = !partial;
        let mut failed = None;
        let mut get = |range: std::ops::Range<u64>| {
            let mut one = || -> Result<Vec<u8>> {
                let size = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                if size > most {
                    return Err(Error::TooLarge { service: service.clone(), bytes: most as u64 });
                }
                let response = ask(format!("bytes={}-{}", range.start, range.end - 1), tag.as_deref())?;
                if content_range(&response) != Some((range.start, range.end - 1, len)) {
                    let message = format!("{address} changed while it was read; search again");
                    return Err(Error::service(&service, message));
                }
                let got = self.http.read_all(response, size, cancelled)?;
                *bytes += got.len() as u64;
                Ok(got)
            };
            one().map_err(|e| {
                let text = e.to_string();
                failed = Some(e);
                DataError::format(address, text)
            })
        };
        let read = read_ranges(address, len, &tail, wanted, &mut get, on);
        match (read, failed) {
            (_, Some(e)) => Err(e),
            (read, None) => Ok(read.map(|()| whole)?),
        }
    }
}
