//! This program as a client of a hub.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::wire::{self, Server};
use super::{Message, Value, message, read_lock, takes};

/// Kinds of messages that this program understands.
const TAKEN: [&str; 13] = [
    "samp.app.ping",
    "samp.hub.event.shutdown",
    "samp.hub.event.register",
    "samp.hub.event.unregister",
    "samp.hub.event.subscriptions",
    "table.load.votable",
    "table.load.fits",
    "table.load.csv",
    "table.highlight.row",
    "table.select.rowList",
    "image.load.fits",
    "spectrum.load.ssa-generic",
    "coord.pointAt.sky",
];

/// Another program at the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The hub's word for it.
    pub id: String,
    /// For a person.
    pub name: String,
    /// Kinds of messages it takes, as it said them (`table.*`).
    takes: Vec<String>,
}

impl Peer {
    /// Whether it takes a kind of message.
    pub fn takes(&self, mtype: &str) -> bool {
        self.takes.iter().any(|s| takes(s, mtype))
    }
}

/// A connection to a hub; it says goodbye when it is dropped.
pub struct Connection {
    hub: String,
    key: String,
    own: String,
    hub_id: String,
    names: Arc<Mutex<BTreeMap<String, String>>>,
    // Ends after the goodbye.
    _server: Server,
}

impl Connection {
    /// Registers with the hub of a lock file. `on` gets every message that comes, from threads of its own; those of the hub too
    /// (`samp.hub.event.…`), so that a list of [`Connection::peers`] can be made anew.
    ///
    /// # Errors
    /// That no hub runs, or why it refused.
    pub fn open(lock: &Path, name: &str, on: Arc<dyn Fn(Message) + Send + Sync>) -> Result<Self, String> {
        let lock = read_lock(lock)?;
        let answer = wire::call(&lock.url, "samp.hub.register", &[Value::from(lock.secret)])
            .map_err(|why| format!("the SAMP hub does not answer ({why}): start it again, or delete its lock file"))?;
        let said = |name: &str| {
            answer.word(name).map(str::to_owned).ok_or_else(|| format!("the SAMP hub did not say {name} when asked to register"))
        };
        let (key, own, hub_id) = (said("samp.private-key")?, said("samp.self-id")?, said("samp.hub-id")?);
        let names = Arc::new(Mutex::new(BTreeMap::from([(hub_id.clone(), "the hub".to_owned())])));
        let (url, of, known) = (lock.url.clone(), key.clone(), names.clone());
        let serve = move |method: &str, params: Vec<Value>| incoming(&url, &of, &known, &*on, method, &params);
        let server = Server::start("samp", Arc::new(serve)).map_err(|e| format!("no port on loopback for SAMP: {e}"))?;
        let made = Self { hub: lock.url, key, own, hub_id, names, _server: server };
        made.ask("setXmlrpcCallback", &[Value::from(made._server.url())])?;
        let about = [
            ("samp.name", name),
            ("samp.description.text", "Search, map and brush astronomical archives"),
            ("author.affiliation", "Asterism"),
            ("asterism.version", env!("CARGO_PKG_VERSION")),
        ];
        made.ask("declareMetadata", &[Value::map(about)])?;
        let none = || Value::Map(BTreeMap::new());
        made.ask("declareSubscriptions", &[Value::map(TAKEN.map(|m| (m, none())))])?;
        Ok(made)
    }

    fn ask(&self, method: &str, params: &[Value]) -> Result<Value, String> {
        let all: Vec<Value> = std::iter::once(Value::from(self.key.as_str())).chain(params.iter().cloned()).collect();
        wire::call(&self.hub, &format!("samp.hub.{method}"), &all).map_err(|why| format!("the SAMP hub: {why}"))
    }

    /// The hub's word for this program.
    pub fn id(&self) -> &str {
        &self.own
    }

    /// The other programs, by name; the hub itself is left out.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub fn peers(&self) -> Result<Vec<Peer>, String> {
        let Value::List(ids) = self.ask("getRegisteredClients", &[])? else {
            return Err("the SAMP hub sent no list of programs".into());
        };
        let mut out = Vec::new();
        for id in ids.iter().filter_map(Value::text) {
            let about = self.ask("getMetadata", &[id.into()]).unwrap_or_default();
            let name = about.word("samp.name").unwrap_or(id).to_owned();
            if let Ok(mut names) = self.names.lock() {
                names.insert(id.to_owned(), name.clone());
            }
            let subscribed = self.ask("getSubscriptions", &[id.into()]).unwrap_or_default();
            let Value::Map(subscribed) = subscribed else { continue };
            if id == self.own || id == self.hub_id || subscribed.is_empty() {
                continue;
            }
            out.push(Peer { id: id.to_owned(), name, takes: subscribed.into_keys().collect() });
        }
        out.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        Ok(out)
    }

    /// Sends a message to one program, or to all that take its kind; gives the ids of those it went to.
    ///
    /// # Errors
    /// When the hub does not answer, or the program is gone or does not take it.
    pub fn send(&self, to: Option<&str>, mtype: &str, params: Value) -> Result<Vec<String>, String> {
        let message = message(mtype, params);
        match to {
            Some(id) => {
                self.ask("notify", &[id.into(), message])?;
                Ok(vec![id.to_owned()])
            }
            None => {
                let Value::List(ids) = self.ask("notifyAll", &[message])? else { return Ok(Vec::new()) };
                Ok(ids.iter().filter_map(Value::text).map(str::to_owned).collect())
            }
        }
    }

    /// Whether the hub still answers.
    pub fn alive(&self) -> bool {
        wire::call(&self.hub, "samp.hub.ping", &[]).is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A hub that is gone needs no goodbye.
        let _ = self.ask("unregister", &[]);
    }
}

/// A call of the hub.
fn incoming(
    hub: &str,
    key: &str,
    names: &Mutex<BTreeMap<String, String>>,
    on: &(dyn Fn(Message) + Send + Sync),
    method: &str,
    params: &[Value],
) -> Result<Value, String> {
    let text = |i: usize| params.get(i).and_then(Value::text);
    if text(0) != Some(key) {
        return Err("the key is not this client's".into());
    }
    let (sender, carried, reply_to) = match method {
        "samp.client.receiveNotification" => (text(1), params.get(2), None),
        "samp.client.receiveCall" => (text(1), params.get(3), text(2)),
        "samp.client.receiveResponse" => return Ok(Value::default()),
        other => return Err(format!("no method {other}")),
    };
    let (Some(sender), Some(carried)) = (sender, carried) else { return Err("sender or message is missing".into()) };
    let mtype = carried.word("samp.mtype").ok_or("the message has no samp.mtype")?.to_owned();
    let params = carried.get("samp.params").cloned().unwrap_or_else(|| Value::Map(BTreeMap::new()));
    let known = TAKEN.contains(&mtype.as_str());
    if let Some(id) = reply_to {
        let answer = if known {
            Value::map([("samp.status", Value::from("samp.ok")), ("samp.result", Value::Map(BTreeMap::new()))])
        } else {
            let why = Value::map([("samp.errortxt", Value::from(format!("Asterism does not take {mtype}")))]);
            Value::map([("samp.status", Value::from("samp.error")), ("samp.error", why)])
        };
        let (hub, of, id) = (hub.to_owned(), key.to_owned(), id.to_owned());
        // The hub waits for this call to end before it takes another of ours: reply from a thread.
        let _ = std::thread::Builder::new()
            .name("samp-reply".into())
            .spawn(move || wire::call(&hub, "samp.hub.reply", &[of.into(), id.into(), answer]));
    }
    if !known || mtype == "samp.app.ping" {
        return Ok(Value::default());
    }
    let name = names.lock().ok().and_then(|n| n.get(sender).cloned()).unwrap_or_else(|| {
        let about = wire::call(hub, "samp.hub.getMetadata", &[key.into(), sender.into()]).unwrap_or_default();
        about.word("samp.name").unwrap_or(sender).to_owned()
    });
    on(Message { mtype, params, sender: name });
    Ok(Value::default())
}
