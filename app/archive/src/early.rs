//! Rows in sight while their page still arrives.
//!
//! The types of MAST's columns (`fields`) stand behind the rows, so what is made of a page before its end is not final: it goes on as
//! [`Event::Early`], and the page's [`Event::Rows`] take its place. The reader looks for `cancelled` twenty times a second while it
//! waits for bytes, and before each piece of the answer; at these moments the rows that came since are shown. On a fast connection a
//! page is there before the first look. Cost: each look makes the table anew, so the pause before the next one is at least four
//! times what this one took: a fifth of one processor at most.
//! Choice not taken: final rows in small pieces, with types that a later piece would have to take back.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use asterism_data::Table;

use crate::Event;
use crate::http::Out;
use crate::json::Page;

/// Looks are no closer than this.
const PAUSE: Duration = Duration::from_millis(100);

/// Shows the rows of a page on its way.
pub(crate) struct Early<'a, 'o> {
    out: Option<&'a Out<'o>>,
    table: &'a dyn Fn(Page) -> Option<Table>,
    next: Cell<Instant>,
    shown: Cell<usize>,
}

impl<'a, 'o> Early<'a, 'o> {
    /// `table` makes a table of the rows that came, those alone that the whole page would hand on; without `out` nothing is shown.
    pub fn new(out: Option<&'a Out<'o>>, table: &'a dyn Fn(Page) -> Option<Table>) -> Self {
        Self { out, table, next: Cell::new(Instant::now() + PAUSE), shown: Cell::new(0) }
    }
    /// To be called now and then while the page is read.
    pub fn look(&self, page: &RefCell<Page>) {
        let Some(out) = self.out else { return };
        let start = Instant::now();
        // While a value is being put in its place there is nothing to see.
        let Ok(page) = page.try_borrow() else { return };
        if start < self.next.get() || page.rows() == self.shown.get() || matches!(page.status.as_deref(), Some("ERROR")) {
            return;
        }
        self.shown.set(page.rows());
        if let Some(table) = (self.table)(page.so_far()).filter(|t| t.rows() > 0) {
            out.send(Event::Early(table));
        }
        self.next.set(Instant::now() + PAUSE.max(start.elapsed() * 4));
    }
}
