//! What is asked of services beside searches: the columns a form is made of, examples of queries, how many rows there would be.
//!
//! Each is looked up once, in a job of its own, when it is first wanted, and kept for the session. Asking again is free, so a
//! window asks in every frame. A look-up that failed says why and is not tried again by itself.

use std::collections::HashMap;
use std::sync::Arc;

use asterism_archive::{Client, FormColumn, FormOf, Request, TapExample};
use parking_lot::Mutex;

use crate::{Ask, Session};

/// Where a look-up is.
#[derive(Clone, Debug)]
pub enum Looked<T> {
    /// On its way.
    Going,
    /// Here.
    Here(Arc<T>),
    /// Not to be had, and why.
    Failed(String),
}

impl<T> Looked<T> {
    /// What was found, if it is here.
    pub fn found(&self) -> Option<&Arc<T>> {
        if let Self::Here(found) = self { Some(found) } else { None }
    }
}

/// What was looked up so far.
#[derive(Default)]
pub(crate) struct Lookups {
    forms: Arc<Mutex<HashMap<FormOf, Looked<Vec<FormColumn>>>>>,
    examples: Arc<Mutex<HashMap<String, Looked<Vec<TapExample>>>>>,
    count: Arc<Mutex<Option<(Request, Looked<u64>)>>>,
}

fn looked<T>(result: asterism_archive::Result<T>) -> Looked<T> {
    match result {
        Ok(found) => Looked::Here(Arc::new(found)),
        Err(e) => Looked::Failed(e.to_string()),
    }
}

impl Session {
    /// What is known of this key; asked for in a job of this name when it is the first time.
    fn look_up<K, T>(
        &mut self,
        known: Arc<Mutex<HashMap<K, Looked<T>>>>,
        key: K,
        name: &str,
        ask: impl FnOnce(&Client, &K, &dyn Fn() -> bool) -> asterism_archive::Result<T> + Send + 'static,
    ) -> Looked<T>
    where
        K: Clone + Eq + std::hash::Hash + Send + 'static,
        T: Send + Sync + 'static,
    {
        let client = match self.client() {
            Ok(client) => client,
            Err(e) => return Looked::Failed(e.to_string()),
        };
        known.lock().insert(key.clone(), Looked::Going);
        self.start(name, 0, false, move |handle| {
            let found = looked(ask(&client, &key, &|| handle.cancelled()));
            known.lock().insert(key, found);
            Ok(())
        });
        Looked::Going
    }

    /// The columns by which a search may be asked.
    pub fn form(&mut self, of: &FormOf) -> Looked<Vec<FormColumn>> {
        if let Some(known) = self.lookups.forms.lock().get(of) {
            return known.clone();
        }
        let forms = self.lookups.forms.clone();
        self.look_up(forms, of.clone(), "Columns of the form", |client, of, stop| client.form_columns(of, stop))
    }

    /// The examples that a TAP service gives of its queries.
    pub fn examples(&mut self, base: &str) -> Looked<Vec<TapExample>> {
        if let Some(known) = self.lookups.examples.lock().get(base) {
            return known.clone();
        }
        let examples = self.lookups.examples.clone();
        self.look_up(examples, base.to_owned(), "Examples of queries", |client, base, stop| client.tap_examples(base, stop))
    }

    /// Ask how many rows a search would give; [`Session::counted`] has the answer later. A sample or a file is not counted.
    pub fn count(&mut self, ask: &Ask) {
        let Ask::Archive { request } = ask else { return };
        let slot = self.lookups.count.clone();
        let client = match self.client() {
            Ok(client) => client,
            Err(e) => {
                *slot.lock() = Some((request.clone(), Looked::Failed(e.to_string())));
                return;
            }
        };
        let request = request.clone();
        *slot.lock() = Some((request.clone(), Looked::Going));
        self.start("Count the rows", 0, false, move |handle| {
            let found = client.count(&request, &|| handle.cancelled());
            let mut slot = slot.lock();
            // Another question may have been asked meanwhile.
            if slot.as_ref().is_some_and(|(asked, _)| *asked == request) {
                *slot = Some((request, looked(found)));
            }
            Ok(())
        });
    }

    /// The number of rows of this search, if it was the last to be counted.
    pub fn counted(&self, ask: &Ask) -> Option<Looked<u64>> {
        let Ask::Archive { request } = ask else { return None };
        self.lookups.count.lock().as_ref().filter(|(asked, _)| asked == request).map(|(_, n)| n.clone())
    }
}
