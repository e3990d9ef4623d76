//! Rows, selections, images and positions to and from other programs of this desktop, by SAMP.
//!
//! A table is sent as a VOTable file in a folder of the system's for files that do not last, under an id that both sides then speak
//! of: a selection is a list of row numbers of the table as it was sent. What comes is done as if the person had done it: a table
//! is opened, rows are selected (which *Undo* takes back). Everything that waits for the hub does so in a named thread; of selections
//! only the last goes out while one is on its way.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use asterism_archive::samp::{Connection, Hub, Message, Peer, Value, lock_file};
use asterism_data::RowSet;

use crate::command::{Ask, Command, ExportRows, SelectMode};
use crate::document::{Dataset, Layer};
use crate::error::{Error, Result};
use crate::jobs::NoticeLevel;
use crate::select::Provenance;
use crate::session::Session;

/// Messages that may wait.
const MESSAGES: usize = 64;
/// Rows of a selection that are told at most.
const TOLD: usize = 500_000;
/// How near a row must be to a position that another program points at, degrees.
const NEAR_DEG: f64 = 1.0 / 60.0;

/// The connection to other programs.
pub struct Interop {
    connection: Arc<Connection>,
    /// Ends after the connection.
    hub: Option<Hub>,
    inbox: Receiver<Message>,
    peers: Arc<Mutex<Vec<Peer>>>,
    tables: Vec<Known>,
    /// The selection goes out whenever it changes.
    sharing: bool,
    /// Generation of the selection that went out, or came in, last.
    told: u64,
    sending: Arc<AtomicBool>,
    folder: PathBuf,
}

/// A table that both sides know.
struct Known {
    id: String,
    dataset: u32,
    /// Rows of the dataset, in the order of the table as it was sent; `None` for all.
    rows: Option<Vec<usize>>,
}

static TABLES: AtomicU64 = AtomicU64::new(1);

impl Interop {
    /// The other programs, by name.
    pub fn peers(&self) -> Vec<Peer> {
        self.peers.lock().map(|p| p.clone()).unwrap_or_default()
    }
    /// Whether this program is the hub itself.
    pub fn is_hub(&self) -> bool {
        self.hub.is_some()
    }
    /// Whether the selection is shared.
    pub fn sharing(&self) -> bool {
        self.sharing
    }
    fn of_dataset(&self, dataset: u32) -> Option<&Known> {
        self.tables.iter().rev().find(|t| t.dataset == dataset)
    }
    fn refresh(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        let (connection, peers) = (self.connection.clone(), self.peers.clone());
        let ask = move || {
            if let (Ok(found), Ok(mut known)) = (connection.peers(), peers.lock()) {
                *known = found;
            }
            waker();
        };
        // Without a thread the list stays as it is.
        let _ = std::thread::Builder::new().name("samp-peers".into()).spawn(ask);
    }
}

impl Drop for Interop {
    fn drop(&mut self) {
        // Files that the other side has read.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn row_list(rows: &RowSet, known: &Known) -> Value {
    let numbers: Vec<Value> = match &known.rows {
        None => rows.iter().map(|r| Value::from(r.to_string())).collect(),
        Some(sent) => {
            sent.iter().enumerate().filter(|(_, r)| rows.contains(**r)).map(|(i, _)| Value::from(i.to_string())).collect()
        }
    };
    Value::List(numbers)
}

/// A path as `file://` address.
fn file_url(path: &std::path::Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~:".contains(&b);
    let escaped: String = text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    if escaped.starts_with('/') { format!("file://{escaped}") } else { format!("file:///{escaped}") }
}

/// The path of a `file:` address.
fn path_of(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("file:")?;
    let rest = rest.strip_prefix("//").map_or(rest, |r| r.strip_prefix("localhost").unwrap_or(r));
    let text = String::from_utf8_lossy(&asterism_archive::percent_decode(rest, false)).into_owned();
    // `/C:/x` of Windows.
    let drive = text.len() > 2 && text.starts_with('/') && text.as_bytes()[2] == b':';
    Some(PathBuf::from(if drive { &text[1..] } else { text.as_str() }))
}

impl Session {
    /// The connection to other programs, once there is one.
    pub fn interop(&self) -> Option<&Interop> {
        self.interop.as_ref()
    }

    /// Connects to the hub that runs, or becomes the hub.
    pub(crate) fn interop_connect(&mut self) -> Result<()> {
        if self.interop.is_some() {
            return Ok(());
        }
        let lock = self
            .settings()
            .samp_lock
            .clone()
            .or_else(lock_file)
            .ok_or_else(|| Error::said("no home folder was found, where SAMP keeps its lock file"))?;
        let waker = self.waker();
        self.start("Connect to other programs", 0, false, move |handle| {
            handle.say("looking for a SAMP hub", 0, 0);
            let (sender, inbox) = sync_channel(MESSAGES);
            let wake = waker.clone();
            let on = Arc::new(move |message: Message| {
                // Each message has a thread of its own, which waits while the window is behind; the session may have let go already.
                let _ = sender.send(message);
                wake();
            });
            let (connection, hub) = match Connection::open(&lock, "Asterism", on.clone()) {
                Ok(connection) => (connection, None),
                Err(_) => {
                    let hub = Hub::start(&lock).map_err(Error::said)?;
                    (Connection::open(&lock, "Asterism", on).map_err(Error::said)?, Some(hub))
                }
            };
            let folder = std::env::temp_dir().join(format!("asterism-samp-{}-{}", std::process::id(), connection.id()));
            std::fs::create_dir_all(&folder).map_err(|e| Error::said(format!("{}: {e}", folder.display())))?;
            let peers = connection.peers().unwrap_or_default();
            let made = Interop {
                connection: Arc::new(connection),
                hub,
                inbox,
                peers: Arc::new(Mutex::new(peers)),
                tables: Vec::new(),
                sharing: false,
                told: 0,
                sending: Arc::default(),
                folder,
            };
            handle.fact(move |s| {
                let names: Vec<String> = made.peers().into_iter().map(|p| p.name).collect();
                let with = match (made.is_hub(), names.is_empty()) {
                    (true, _) => "No SAMP hub ran, so Asterism is the hub now: programs started from now on find it".to_owned(),
                    (false, true) => "Connected to the SAMP hub; no other program is there yet".to_owned(),
                    (false, false) => format!("Connected to {}", names.join(", ")),
                };
                s.interop = Some(made);
                s.notice(NoticeLevel::Info, with);
            });
            Ok(())
        });
        Ok(())
    }

    fn connected(&mut self) -> Result<&mut Interop> {
        self.interop
            .as_mut()
            .ok_or_else(|| Error::said("not connected to other programs: Share → Connect to TOPCAT, Aladin, DS9…"))
    }

    /// Sends rows of the dataset in front to one program, or to all that take tables.
    pub(crate) fn interop_send(&mut self, rows: ExportRows, to: Option<String>) -> Result<()> {
        let dataset = self.doc().dataset().cloned().ok_or_else(|| Error::said("there is no table to send"))?;
        let set = self.export_rows(rows)?;
        let interop = self.connected()?;
        let (connection, folder) = (interop.connection.clone(), interop.folder.clone());
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let id = format!("asterism-{}-{number}", connection.id());
        let name_of = |id: &str| interop.peers().iter().find(|p| p.id == id).map(|p| p.name.clone());
        let whom = to.as_deref().and_then(name_of);
        let count = set.count();
        let whole = count == dataset.table.rows();
        self.start(format!("Send {}", crate::words::rows(count)), dataset.id, false, move |handle| {
            handle.say("writing", 0, 0);
            let path = folder.join(format!("{number}.vot"));
            crate::export::table(&dataset, &set, &path, asterism_data::Serialization::default())?;
            handle.say("sending", 0, 0);
            let params = Value::map([("url", file_url(&path)), ("table-id", id.clone()), ("name", dataset.name.clone())]);
            let told = connection.send(to.as_deref(), "table.load.votable", params).map_err(Error::said)?;
            if told.is_empty() {
                return Err(Error::said("no other program takes tables: start TOPCAT or Aladin, then send again"));
            }
            let known = Known { id, dataset: dataset.id, rows: (!whole).then(|| set.iter().collect()) };
            handle.fact(move |s| {
                if let Some(interop) = &mut s.interop {
                    interop.tables.push(known);
                }
                let whom = whom.unwrap_or_else(|| format!("{} program{}", told.len(), if told.len() == 1 { "" } else { "s" }));
                s.notice(NoticeLevel::Info, format!("Sent {} to {whom}", crate::words::rows(count)));
            });
            Ok(())
        });
        Ok(())
    }

    /// Points at the first selected row: its place on the sky, and its row where the table was sent.
    pub(crate) fn interop_point(&mut self) -> Result<()> {
        let dataset = self.doc().dataset().cloned().ok_or_else(|| Error::said("there is no table"))?;
        let row = self.doc().selection.rows.iter().next().ok_or_else(|| Error::said("select a row to point at"))?;
        let place = sky_place(&dataset, row);
        let interop = self.connected()?;
        let connection = interop.connection.clone();
        let only = interop.of_dataset(dataset.id).map(|k| {
            (
                k.id.clone(),
                match &k.rows {
                    None => Some(row),
                    Some(sent) => sent.iter().position(|r| *r == row),
                },
            )
        });
        if place.is_none() && only.is_none() {
            return Err(Error::said("this table has no positions, and was not sent: there is nothing to point at"));
        }
        self.start("Point at a row", dataset.id, false, move |_| {
            if let Some([ra, dec]) = place {
                let params = Value::map([("ra", ra.to_string()), ("dec", dec.to_string())]);
                connection.send(None, "coord.pointAt.sky", params).map_err(Error::said)?;
            }
            if let Some((id, Some(row))) = only {
                let params = Value::map([("table-id", id), ("row", row.to_string())]);
                connection.send(None, "table.highlight.row", params).map_err(Error::said)?;
            }
            Ok(())
        });
        Ok(())
    }

    /// Sends the first FITS image of the dataset in front, where it is a file or a sample's.
    pub(crate) fn interop_image(&mut self) -> Result<()> {
        let dataset = self.doc().dataset().cloned().ok_or_else(|| Error::said("there is no table"))?;
        // The files of samples are in the program: other programs get a copy.
        let of_sample = |source: &str| crate::sample::bytes(source.strip_prefix("sample:")?.rsplit('/').next()?);
        let there = |source: &str| std::path::Path::new(source).is_file() || of_sample(source).is_some();
        let fits = dataset.images.iter().find(|i| matches!(i.pixels, Layer::Fits(_)) && there(&i.source));
        let layer = fits.cloned().ok_or_else(|| Error::said("no image here is a FITS file on this disk: open one first"))?;
        let interop = self.connected()?;
        let (connection, folder) = (interop.connection.clone(), interop.folder.clone());
        self.start(format!("Send {}", layer.title), dataset.id, false, move |_| {
            let mut path = std::fs::canonicalize(&layer.source).unwrap_or_else(|_| PathBuf::from(&layer.source));
            if let Some(bytes) = of_sample(&layer.source) {
                path = folder.join(layer.source.rsplit('/').next().unwrap_or("image.fits"));
                std::fs::write(&path, bytes).map_err(|e| asterism_data::Error::io(&path, e))?;
            }
            let url = file_url(&path);
            let params = Value::map([("image-id", url.clone()), ("url", url), ("name", layer.title.clone())]);
            let told = connection.send(None, "image.load.fits", params).map_err(Error::said)?;
            if told.is_empty() {
                return Err(Error::said("no other program takes images: start Aladin or DS9, then send again"));
            }
            Ok(())
        });
        Ok(())
    }

    /// Sends the spectrum of the first selected row, or of the only row, as a VOTable of the Spectrum data model.
    pub(crate) fn interop_spectrum(&mut self) -> Result<()> {
        let dataset = self.doc().dataset().cloned().ok_or_else(|| Error::said("there is no table"))?;
        let spectra = dataset.spectra.clone().ok_or_else(|| Error::said("no row of this table has a spectrum"))?;
        let selected = self.doc().selection.rows.iter().next();
        let only = if dataset.table.rows() == 1 { Some(0) } else { None };
        let row = selected.or(only).ok_or_else(|| Error::said("select the row whose spectrum is to be sent"))?;
        let interop = self.connected()?;
        let (connection, folder) = (interop.connection.clone(), interop.folder.clone());
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let name = spectra.name(&dataset.table, row);
        self.start(format!("Send the spectrum of {name}"), dataset.id, false, move |handle| {
            let path = folder.join(format!("{number}.vot"));
            let spectrum = spectra.spectrum(&dataset.table, row);
            asterism_data::write_table(&spectrum.table()?, None, &path)?;
            let url = file_url(&path);
            // Keys of the SSA standard (1.1, 4.2), which are what SPLAT-VO looks at.
            let meta = Value::map([
                ("Access.Reference", url.clone()),
                ("Access.Format", "application/x-votable+xml".to_owned()),
                ("DataID.Title", name.clone()),
                ("Target.Name", name.clone()),
            ]);
            let params = Value::map([
                ("spectrum-id", Value::Text(url.clone())),
                ("url", Value::Text(url)),
                ("name", Value::Text(name.clone())),
                ("meta", meta),
            ]);
            let told = connection.send(None, "spectrum.load.ssa-generic", params).map_err(Error::said)?;
            if told.is_empty() {
                return Err(Error::said("no other program takes spectra: start SPLAT-VO or CASSIS, then send again"));
            }
            handle.fact(move |s| {
                let programs = if told.len() == 1 { "1 program".to_owned() } else { format!("{} programs", told.len()) };
                s.notice(NoticeLevel::Info, format!("Sent the spectrum of {name} to {programs}"));
            });
            Ok(())
        });
        Ok(())
    }

    /// Shares the selection from now on, or no longer. The table is sent if it was not.
    pub(crate) fn interop_share(&mut self, on: bool) -> Result<()> {
        let dataset = self.doc().dataset().map(|d| d.id);
        let (any, generation) = (self.doc().selection.any(), self.doc().selection.generation);
        let interop = self.connected()?;
        interop.sharing = on;
        // What is selected goes out at once; that nothing is selected is no reason to clear it elsewhere.
        interop.told = if any { u64::MAX } else { generation };
        if on && dataset.is_some_and(|d| interop.of_dataset(d).is_none()) {
            return self.interop_send(ExportRows::All, None);
        }
        Ok(())
    }

    /// What came, and the selection that goes out. True when anything changed.
    pub(crate) fn interop_poll(&mut self) -> bool {
        let Some(interop) = &self.interop else { return false };
        let came: Vec<Message> = interop.inbox.try_iter().collect();
        let any = !came.is_empty();
        for message in came {
            if let Err(e) = self.interop_take(&message) {
                self.notice(NoticeLevel::Warning, format!("{} sent {}: {e}", message.sender, message.mtype));
            }
        }
        self.interop_tell();
        any
    }

    fn interop_tell(&mut self) {
        let waker = self.waker();
        let (generation, rows) = (self.doc().selection.generation, self.doc().selection.rows.clone());
        let Some(front) = self.doc().dataset().map(|d| d.id) else { return };
        let Some(interop) = &mut self.interop else { return };
        if !interop.sharing || generation == interop.told || rows.count() > TOLD || interop.sending.load(Ordering::Relaxed) {
            return;
        }
        let Some(known) = interop.of_dataset(front) else { return };
        let params = Value::map([("table-id", Value::from(known.id.as_str())), ("row-list", row_list(&rows, known))]);
        interop.told = generation;
        interop.sending.store(true, Ordering::Relaxed);
        let (connection, sending) = (interop.connection.clone(), interop.sending.clone());
        let send = move || {
            // A hub that is gone says so by its own message, or at the next thing that is asked of it.
            let _ = connection.send(None, "table.select.rowList", params);
            sending.store(false, Ordering::Relaxed);
            waker();
        };
        if std::thread::Builder::new().name("samp-select".into()).spawn(send).is_err() {
            interop.sending.store(false, Ordering::Relaxed);
        }
    }

    fn interop_take(&mut self, message: &Message) -> Result<()> {
        let params = &message.params;
        let word = |name: &str| params.word(name).ok_or_else(|| Error::said(format!("it does not say '{name}'")));
        match message.mtype.as_str() {
            "samp.hub.event.shutdown" => {
                self.interop = None;
                self.notice(NoticeLevel::Info, "The SAMP hub has ended; other programs are no longer connected");
            }
            m if m.starts_with("samp.hub.event.") => {
                let waker = self.waker();
                if let Some(interop) = &self.interop {
                    interop.refresh(waker);
                }
            }
            m if m.starts_with("table.load.") || m.starts_with("image.load.") || m.starts_with("spectrum.load.") => {
                let url = word("url")?.to_owned();
                let id = params.word("table-id").unwrap_or(&url).to_owned();
                let name = params.word("name").unwrap_or("").to_owned();
                self.interop_open(url, id, name, message)?;
            }
            "table.select.rowList" => {
                let Some(Value::List(list)) = params.get("row-list") else { return Err(Error::said("it has no row-list")) };
                let rows: Vec<usize> = list.iter().filter_map(|v| v.text()?.trim().parse().ok()).collect();
                self.interop_select(params, &rows, &message.sender)?;
            }
            "table.highlight.row" => {
                let row = word("row")?.trim().parse().map_err(|_| Error::said("its row is no number"))?;
                self.interop_select(params, &[row], &message.sender)?;
            }
            "coord.pointAt.sky" => {
                let angle = |name: &str| {
                    let text = word(name)?;
                    text.trim().parse::<f64>().map_err(|_| Error::said(format!("'{text}' is no angle in degrees")))
                };
                self.interop_at([angle("ra")?, angle("dec")?], &message.sender)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn interop_open(&mut self, url: String, id: String, name: String, message: &Message) -> Result<()> {
        let local = path_of(&url);
        let client = if local.is_none() { Some(self.client()?) } else { None };
        let sender = message.sender.clone();
        let is_table = message.mtype.starts_with("table.");
        self.start(format!("Receive from {sender}"), 0, false, move |handle| {
            let path = match (local, client) {
                (Some(path), _) => path,
                (None, Some(client)) => {
                    client.fetch(&url, &|| handle.cancelled(), &mut |done, of| handle.say("bytes", done, of.unwrap_or(0)))?
                }
                (None, None) => return Err(Error::said(format!("'{url}' is no address of a file"))),
            };
            handle.fact(move |s| {
                let ask = Ask::file(path);
                match s.apply(Command::Search { name, ask }) {
                    Ok(()) => {
                        let dataset = s.doc().dataset().map(|d| d.id);
                        if let (Some(interop), Some(dataset), true) = (&mut s.interop, dataset, is_table) {
                            interop.tables.push(Known { id, dataset, rows: None });
                        }
                        s.notice(NoticeLevel::Info, format!("{sender} sent this"));
                    }
                    Err(e) => s.notice(NoticeLevel::Error, e.to_string()),
                }
            });
            Ok(())
        });
        Ok(())
    }

    fn interop_select(&mut self, params: &Value, rows: &[usize], sender: &str) -> Result<()> {
        let id = params.word("table-id").or_else(|| params.word("url")).unwrap_or("");
        // Rows of a table that this program never saw are somebody else's matter.
        let Some(known) = self.interop.as_ref().and_then(|i| i.tables.iter().rev().find(|t| t.id == id)) else { return Ok(()) };
        let dataset = known.dataset;
        let rows: Vec<usize> = match &known.rows {
            None => rows.to_vec(),
            Some(sent) => rows.iter().filter_map(|r| sent.get(*r).copied()).collect(),
        };
        let Some(index) = self.doc().datasets.iter().position(|d| d.id == dataset) else { return Ok(()) };
        if self.doc().active != index {
            self.apply(Command::Activate { index })?;
        }
        let total = self.doc().datasets[index].table.rows();
        let rows = RowSet::from_rows(total, rows.into_iter().filter(|r| *r < total));
        self.interop_light(rows, format!("selected in {sender}"))?;
        let generation = self.doc().selection.generation;
        // It need not be told what it said.
        if let Some(interop) = &mut self.interop {
            interop.told = generation;
        }
        Ok(())
    }

    fn interop_at(&mut self, at: [f64; 2], sender: &str) -> Result<()> {
        let Some(dataset) = self.doc().dataset().cloned() else { return Ok(()) };
        let Some((ra, dec)) = dataset.sky_columns() else { return Ok(()) };
        let sender = sender.to_owned();
        self.start(format!("Find where {sender} points"), dataset.id, false, move |handle| {
            let (ra, dec) = (dataset.table.f64s(&ra)?, dataset.table.f64s(&dec)?);
            let apart = |row: &usize| separation_deg(at, [ra[*row], dec[*row]]);
            let nearest = (0..ra.len()).filter(|r| apart(r).is_finite()).min_by(|a, b| apart(a).total_cmp(&apart(b)));
            let Some(row) = nearest else { return Ok(()) };
            let distance = apart(&row);
            if distance > NEAR_DEG {
                let text = format!("{sender} points at {:.5}, {:.5}; the nearest row is {distance:.2}° away", at[0], at[1]);
                handle.fact(move |s| s.notice(NoticeLevel::Info, text));
                return Ok(());
            }
            let rows = RowSet::from_rows(dataset.table.rows(), [row]);
            handle.fact(move |s| {
                // Another table may have come to the front meanwhile: the row is none of its.
                if s.doc().dataset().is_some_and(|d| d.id == dataset.id)
                    && let Err(e) = s.interop_light(rows, format!("pointed at in {sender}"))
                {
                    s.notice(NoticeLevel::Warning, e.to_string());
                }
            });
            Ok(())
        });
        Ok(())
    }

    /// Selects rows, unless these are selected: a row may be pointed at by its number and by its place, and is one step of undo.
    fn interop_light(&mut self, rows: RowSet, note: String) -> Result<()> {
        if *self.doc().selection.rows == rows {
            return Ok(());
        }
        let why = Provenance::Rows { note, rows: rows.clone() };
        self.apply(Command::Select { rows, why, mode: Some(SelectMode::Replace) })
    }
}

/// Angle between two positions, degrees (Vincenty's formula, right at all distances).
fn separation_deg(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [[a0, d0], [a1, d1]] = [a, b].map(|p| p.map(f64::to_radians));
    let (s, c) = (a1 - a0).sin_cos();
    let x = (d1.cos() * s).hypot(d0.cos() * d1.sin() - d0.sin() * d1.cos() * c);
    x.atan2(d0.sin() * d1.sin() + d0.cos() * d1.cos() * c).to_degrees()
}

fn sky_place(dataset: &Dataset, row: usize) -> Option<[f64; 2]> {
    let (ra, dec) = dataset.sky_columns()?;
    let value = |name: &str| dataset.table.cell(row, dataset.table.column_index(name)?).number();
    Some([value(&ra)?, value(&dec)?]).filter(|p| p.iter().all(|v| v.is_finite()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_of_files_come_back_as_paths() {
        let path = PathBuf::from("/data/M 31 (ü).vot");
        assert_eq!(file_url(&path), "file:///data/M%2031%20%28%C3%BC%29.vot");
        assert_eq!(path_of(&file_url(&path)), Some(path));
        assert_eq!(path_of("file:/tmp/x.vot"), Some(PathBuf::from("/tmp/x.vot")));
        assert_eq!(path_of("file://localhost/tmp/x"), Some(PathBuf::from("/tmp/x")));
        assert_eq!(path_of("file:///C:/x.vot"), Some(PathBuf::from("C:/x.vot")));
        assert_eq!(path_of("http://a/b"), None);
    }

    #[test]
    fn rows_are_told_as_the_other_side_counts_them() {
        let rows = RowSet::from_rows(10, [2, 5, 7]);
        let told = |rows_sent: Option<Vec<usize>>| row_list(&rows, &Known { id: "t".into(), dataset: 1, rows: rows_sent });
        assert_eq!(told(None), Value::List(vec!["2".into(), "5".into(), "7".into()]));
        assert_eq!(told(Some(vec![5, 6, 7])), Value::List(vec!["0".into(), "2".into()]));
    }

    #[test]
    fn angles_hold_over_the_seam_and_the_pole() {
        assert!((separation_deg([359.5, 0.0], [0.5, 0.0]) - 1.0).abs() < 1e-12);
        assert!((separation_deg([0.0, 89.0], [180.0, 89.0]) - 2.0).abs() < 1e-12);
    }
}
