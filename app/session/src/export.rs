//! Taking: rows to files, addresses of products to lists and scripts. Saves are atomic: written
//! beside, flushed, renamed.

use std::io::Write;
use std::path::Path;

use asterism_archive::Client;
use asterism_data::{ColumnMeta, Param, RowSet, Serialization};

use crate::document::Dataset;
use crate::error::{Error, Result};

/// Write bytes atomically.
///
/// # Errors
/// Of the file system, with the path.
pub fn write_whole(to: &Path, bytes: &[u8]) -> Result<()> {
    asterism_data::atomic_write(to, |w: &mut dyn Write| w.write_all(bytes).map_err(|e| asterism_data::Error::io(to, e)))?;
    Ok(())
}

/// Write rows of a dataset, with the coordinates of the map in front as columns more and the
/// story of the rows as parameters. The ending of `to` says the format,
/// `serialization` how the rows of a VOTable are written.
///
/// # Errors
/// When the ending is not known or the file cannot be written; nothing half-written is left.
pub fn table(dataset: &Dataset, rows: &RowSet, to: &Path, serialization: Serialization) -> Result<Vec<String>> {
    let mut table = (*dataset.table).clone();
    if let Some(map) = dataset.map().filter(|m| m.xy.len() == table.rows()) {
        for (name, values, description) in map_columns(map) {
            let meta = ColumnMeta { name: name.clone(), description: Some(description), ..ColumnMeta::default() };
            table.with_f32_column(&name, values, meta)?;
        }
    }
    let param =
        |name: &str, value: String, text: &str| Param { name: name.into(), value, unit: None, description: Some(text.into()) };
    table.params.push(param("asterism_source", crate::ledger::service_of(&dataset.ask), "where the rows were searched"));
    if let Some(entry) = dataset.ledger.last().filter(|e| !e.text.is_empty()) {
        table.params.push(param("asterism_query", entry.text.clone(), "the last search"));
    }
    if !dataset.credit.is_empty() {
        table.params.push(param("credit", dataset.credit.clone(), "whom to thank"));
    }
    let table = table.take(rows)?;
    asterism_data::write_table_as(&table, None, to, serialization)?;
    Ok(asterism_data::write::notes(&table, to, serialization)?)
}

/// Coordinates and figures of a map as columns: `map_x, map_y` for two dimensions, `map_1…` else.
pub fn map_columns(map: &crate::document::Map) -> Vec<(String, Vec<f32>, String)> {
    let dims = map.coords.dims;
    let about = format!("{} with {}", map.name, crate::recipe::params_text(&map.params));
    let mut columns: Vec<(String, Vec<f32>, String)> = (0..dims)
        .map(|d| {
            let name = match (dims, d) {
                (2, 0) => "map_x".to_owned(),
                (2, 1) => "map_y".to_owned(),
                _ => format!("map_{}", d + 1),
            };
            (name, map.coords.values.iter().skip(d).step_by(dims).copied().collect(), about.clone())
        })
        .collect();
    if let Some(error) = &map.row_error {
        columns.push((
            "reconstruction_error".into(),
            resized(error, map.xy.len()),
            "mean squared difference from the reconstruction".into(),
        ));
    }
    if let Some(quality) = &map.quality {
        columns.push((
            "trust".into(),
            resized(&quality.row_trust, map.xy.len()),
            "share of the 15 nearest neighbours that the map keeps".into(),
        ));
    }
    columns
}

fn resized(values: &[f32], len: usize) -> Vec<f32> {
    let mut v = values.to_vec();
    v.resize(len, f32::NAN);
    v
}

/// Addresses of the rows' products, from the columns that hold addresses.
///
/// # Errors
/// When the table has no such column.
pub fn product_addresses(dataset: &Dataset, rows: &RowSet, client: &Client) -> Result<Vec<String>> {
    let table = &dataset.table;
    let holds = |i: usize| {
        let meta = &table.columns()[i];
        let name = meta.name.to_ascii_lowercase();
        let ucd = meta.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
        ["dataurl", "datauri", "access_url", "accref", "jpegurl", "url"].contains(&name.as_str())
            || ucd.starts_with("meta.ref.url")
            || ucd.contains("accessreference")
    };
    let columns: Vec<usize> = (0..table.columns().len()).filter(|i| holds(*i)).collect();
    if columns.is_empty() {
        return Err(Error::said(format!("'{}' has no column with addresses of products (dataURL, access_url, …)", dataset.name)));
    }
    let mut found = Vec::new();
    for row in rows.iter() {
        for column in &columns {
            if let asterism_data::Cell::Text(text) = table.cell(row, *column) {
                let text = text.trim();
                if text.starts_with("mast:") {
                    found.push(client.download_url(text));
                } else if text.starts_with("http://") || text.starts_with("https://") || text.starts_with("ftp://") {
                    found.push(text.to_owned());
                }
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|a| seen.insert(a.clone()));
    Ok(found)
}

/// Write the addresses, one a line, or as a shell script that downloads them when `to` ends in
/// `.sh`. Gives a sentence for the log.
///
/// # Errors
/// When there is none, or the file cannot be written.
pub fn products(dataset: &Dataset, rows: &RowSet, to: &Path, client: &Client) -> Result<String> {
    let addresses = product_addresses(dataset, rows, client)?;
    if addresses.is_empty() {
        return Err(Error::said("none of these rows has the address of a product"));
    }
    let script = to.extension().is_some_and(|e| e == "sh");
    let text = if script {
        let mut s = String::from(
            "#!/bin/sh\n# Downloads the products of a selection made with Asterism. Files that are here already are left alone.\nset -u\n",
        );
        for address in &addresses {
            let name = address.split(['?', '#']).next().unwrap_or(address).rsplit('/').next().unwrap_or("product");
            let name = address.split("uri=").nth(1).map_or(name, |u| u.rsplit('/').next().unwrap_or(name));
            s.push_str(&format!(
                "[ -e {0} ] || curl --fail --location --output {0}.part {1} && [ ! -e {0}.part ] || mv {0}.part {0}\n",
                shell(name),
                shell(address)
            ));
        }
        s
    } else {
        addresses.join("\n") + "\n"
    };
    write_whole(to, text.as_bytes())?;
    Ok(format!("Wrote {} addresses to {}", addresses.len(), to.display()))
}

fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
