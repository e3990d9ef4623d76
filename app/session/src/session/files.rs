//! What leaves and comes back: rows and products to files, the session's own file and its recovery, schemas, names and previews.
//!
//! All of it happens in jobs but [`Session::save_now`], which the end of the program needs at once.

use super::*;

impl Session {
    /// The rows that an export would write.
    ///
    /// # Errors
    /// When nothing is selected or the subset is gone.
    pub fn export_rows(&self, rows: ExportRows) -> Result<RowSet> {
        let dataset = self.front()?;
        let len = dataset.table.rows();
        match rows {
            ExportRows::All => Ok(RowSet::full(len)),
            ExportRows::Selection if !self.doc.selection.any() => {
                Err(Error::said("nothing is selected: select rows, or export all"))
            }
            ExportRows::Selection => Ok(self.doc.selection.rows.resized(len)),
            ExportRows::Subset(id) => {
                Ok(dataset.subset(id).ok_or_else(|| Error::said("that subset is not here any more"))?.rows.resized(len))
            }
        }
    }
    pub(super) fn export(&mut self, rows: ExportRows, to: PathBuf, serialization: asterism_data::Serialization) -> Result<()> {
        let (dataset, rows) = (self.front()?, self.export_rows(rows)?);
        self.start(format!("Export {}", crate::words::rows(rows.count())), dataset.id, false, move |handle| {
            handle.say("writing", 0, 0);
            let count = rows.count();
            let notes = crate::export::table(&dataset, &rows, &to, serialization)?;
            handle.fact(move |s| {
                s.notice(NoticeLevel::Info, format!("Wrote {} to {}", crate::words::rows(count), to.display()));
                notes.into_iter().for_each(|note| s.notice(NoticeLevel::Warning, note));
            });
            Ok(())
        });
        Ok(())
    }
    pub(super) fn download(&mut self, rows: ExportRows, to: PathBuf) -> Result<()> {
        let (dataset, rows, client) = (self.front()?, self.export_rows(rows)?, self.client()?);
        self.start(format!("Download products of {}", dataset.name), dataset.id, false, move |handle| {
            let stop = || handle.cancelled();
            handle.say("list", 0, 0);
            // Of observations the whole list, of products and other addresses the rows themselves.
            let table = match products::obsids(&dataset.table, &rows) {
                Ok(obsids) if dataset.table.column_index("dataURI").is_none() => client.products(&obsids, &stop)?,
                _ => dataset.table.take(&rows)?,
            };
            let wanted = download::wanted(&table)?;
            let total: u64 = wanted.iter().filter_map(|w| w.bytes).sum();
            let mut here = vec![0u64; wanted.len()];
            let mut ended = 0;
            let options = download::DownloadOptions::new(&to);
            let report = client.download(&wanted, &options, &stop, &mut |event| {
                match event {
                    download::DownloadEvent::Started { index, from } => here[index] = from,
                    download::DownloadEvent::Progress { index, done, .. } => here[index] = done,
                    download::DownloadEvent::Ended { .. } => ended += 1,
                }
                if total > 0 {
                    handle.say("bytes", here.iter().sum::<u64>().min(total), total);
                } else {
                    handle.say("files", ended, wanted.len() as u64);
                }
            })?;
            let (complete, failed, all) = (report.complete(), report.failed(), wanted.len());
            let place = to.join("mastDownload");
            let whole = complete == all;
            let text = if whole {
                format!("{all} file{} in {}", if all == 1 { "" } else { "s" }, place.display())
            } else {
                let rest = format!("{failed} did not come: {} says why", report.manifest.display());
                format!("{complete} of {all} files in {}; {rest}. Download again to go on where it was", place.display())
            };
            handle.fact(move |s| s.notice(if whole { NoticeLevel::Info } else { NoticeLevel::Warning }, text));
            Ok(())
        });
        Ok(())
    }
    /// Save before the program ends; waits for the file, as no frame follows.
    ///
    /// # Errors
    /// When it cannot be written; the file that was there before is untouched.
    pub fn save_now(&mut self, to: PathBuf) -> Result<()> {
        store::save(&self.doc, &to)?;
        self.session_saved(to, self.changes);
        Ok(())
    }
    pub(super) fn session_saved(&mut self, to: PathBuf, changes: u64) {
        self.saved = changes;
        self.settings.opened(&to);
        self.notice(NoticeLevel::Info, format!("Saved the session to {}", to.display()));
        self.path = Some(to);
    }
    pub(super) fn session_opened(&mut self, doc: Document, path: PathBuf) {
        self.jobs.iter().for_each(|j| j.cancel());
        // Of tables that are not in front any more; ids of the file may be the same ones.
        self.graphs.clear();
        self.density = None;
        self.step("open session", true);
        self.next_id = self.next_id.max(store::highest_id(&doc) + 1);
        self.doc = doc;
        self.doc.selection.generation = self.changes + 1_000_000;
        self.opened += 1;
        // What a crash left has no place of its own: the file goes away at a clean end, so saving asks where.
        if path == Settings::folder().join(RECOVERY) {
            self.path = None;
            self.notice(NoticeLevel::Info, "Brought back what was kept; it is not saved yet".to_owned());
            return;
        }
        self.settings.opened(&path);
        self.saved = self.changes;
        self.notice(NoticeLevel::Info, format!("Opened {}", path.display()));
        self.path = Some(path);
    }
    /// How many session files were opened: when it grows, the panes are those of the file.
    pub fn opened(&self) -> u64 {
        self.opened
    }
    /// A session that a crash left behind.
    pub fn recovery() -> Option<PathBuf> {
        let path = Settings::folder().join(RECOVERY);
        path.exists().then_some(path)
    }
    /// Forget it.
    pub fn discard_recovery() {
        // Nothing to do when it is gone already.
        let _ = std::fs::remove_file(Settings::folder().join(RECOVERY));
    }
    /// Whether the session is being written for recovery.
    pub fn keeping(&self) -> bool {
        self.jobs.iter().any(|j| j.alive() && j.name == AUTOSAVE)
    }
    /// Keep the session as one works. Writes only when something changed and no rows are arriving.
    pub fn autosave(&mut self) {
        if self.changes == self.autosaved || self.doc.datasets.is_empty() || self.doc.datasets.iter().any(|d| d.loading) {
            return;
        }
        if self.jobs.iter().any(|j| j.alive() && j.name == AUTOSAVE) {
            return;
        }
        self.autosaved = self.changes;
        let doc = self.doc.clone();
        let path = Settings::folder().join(RECOVERY);
        self.start(AUTOSAVE, 0, false, move |_| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|e| asterism_data::Error::io(folder, e))?;
            }
            store::save(&doc, &path)
        });
    }
    /// Keep the session at once, whatever goes on in it: the last thing to do where the process cannot go on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_now(&self) -> Result<PathBuf> {
        let path = Settings::folder().join(RECOVERY);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| asterism_data::Error::io(folder, e))?;
        }
        store::save(&self.doc, &path)?;
        Ok(path)
    }
    /// A clean end: jobs are told to stop, and no recovery file is left.
    pub fn end(&mut self) {
        self.jobs.iter().for_each(|j| j.cancel());
        Self::discard_recovery();
        if let Err(e) = self.settings.save() {
            self.notice(NoticeLevel::Warning, e.to_string());
        }
    }
    /// Tables and columns of a TAP service; `None` until they are here.
    pub fn schema(&mut self, base: &str) -> Option<Arc<TapSchema>> {
        if let Some(entry) = self.schemas.lock().get(base) {
            return entry.clone();
        }
        self.schemas.lock().insert(base.to_owned(), None);
        let (client, schemas, base) = (self.client().ok()?, self.schemas.clone(), base.to_owned());
        self.start(format!("Tables of {base}"), 0, false, move |handle| {
            let schema = client.tap_tables(&base, &|| handle.cancelled())?;
            schemas.lock().insert(base, Some(Arc::new(schema)));
            Ok(())
        });
        None
    }
    /// Look a name up; [`Session::resolved`] has the answer later.
    pub fn resolve(&mut self, name: &str) {
        *self.resolved.lock() = None;
        let client = match self.client() {
            Ok(client) => client,
            Err(e) => return self.notice(NoticeLevel::Error, e.to_string()),
        };
        let (slot, name) = (self.resolved.clone(), name.to_owned());
        self.start(format!("Look up {name}"), 0, false, move |handle| {
            let answer = client.resolve(&name, &|| handle.cancelled());
            *slot.lock() = Some(answer.map_err(|e| e.to_string()));
            Ok(())
        });
    }
    /// What the last look-up found.
    pub fn resolved(&self) -> Option<std::result::Result<Resolved, String>> {
        self.resolved.lock().clone()
    }
    /// A preview picture behind an address, fetched lazily and kept. At most four at a time.
    pub fn preview(&self, url: &str) -> Fetched {
        use std::sync::atomic::Ordering;
        if let Some(known) = self.previews.lock().get(url) {
            return known.clone();
        }
        let Some(client) = self.client.clone() else { return Fetched::Failed("no service is in use".into()) };
        if self.preview_threads.load(Ordering::Relaxed) >= 4 {
            return Fetched::Loading;
        }
        self.preview_threads.fetch_add(1, Ordering::Relaxed);
        self.previews.lock().insert(url.to_owned(), Fetched::Loading);
        let (slot, threads, waker, url) =
            (self.previews.clone(), self.preview_threads.clone(), self.waker.clone(), url.to_owned());
        let work = move || {
            let fetched = client
                .fetch(&url, &|| false, &mut |_, _| {})
                .map_err(|e| e.to_string())
                .and_then(|path| std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display())))
                .and_then(|bytes| Picture::decode(&url, &bytes).map_err(|e| e.to_string()));
            slot.lock().insert(url, fetched.map_or_else(Fetched::Failed, |p| Fetched::Ready(Arc::new(p))));
            threads.fetch_sub(1, Ordering::Relaxed);
            waker();
        };
        if std::thread::Builder::new().name("preview".into()).spawn(work).is_err() {
            self.preview_threads.fetch_sub(1, Ordering::Relaxed);
        }
        Fetched::Loading
    }
}
