//! A small hub, for when none runs: it keeps who is there and hands messages on.
//!
//! Everything of the standard profile but the web's: registering by secret, metadata, subscriptions, notify, call, callAndWait and
//! replies, events of the hub. Messages are delivered by a thread each, so that a program that hangs holds up nobody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wire::{self, Server};
use super::{Value, message, read_lock, secret, takes};

const HUB: &str = "hub";

#[derive(Clone, Default)]
struct Client {
    id: String,
    callback: Option<String>,
    metadata: BTreeMap<String, Value>,
    subscriptions: BTreeMap<String, Value>,
}

impl Client {
    fn takes(&self, mtype: &str) -> bool {
        self.callback.is_some() && self.subscriptions.keys().any(|s| takes(s, mtype))
    }
}

/// Where the answer to a call goes.
enum Back {
    /// To the client with this key, with its tag.
    Client(String, String),
    /// To the thread that waits.
    Waits(SyncSender<Value>),
}

struct State {
    secret: String,
    /// By private key.
    clients: Mutex<BTreeMap<String, Client>>,
    calls: Mutex<BTreeMap<String, Back>>,
    next: AtomicU64,
}

/// A hub; it ends, with its lock file, when it is dropped.
pub struct Hub {
    state: Arc<State>,
    lock: PathBuf,
    _server: Server,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a broken thread left is still a list of clients.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Starts one and writes its lock file (readable by its owner alone).
    ///
    /// # Errors
    /// That a hub runs already, or what the system refused.
    pub fn start(lock: &Path) -> Result<Self, String> {
        if let Ok(other) = read_lock(lock) {
            if wire::call(&other.url, "samp.hub.ping", &[]).is_ok() {
                return Err("a SAMP hub runs already".into());
            }
            // A file that was left behind.
            let _ = std::fs::remove_file(lock);
        }
        let state =
            Arc::new(State { secret: secret(), clients: Mutex::default(), calls: Mutex::default(), next: AtomicU64::new(1) });
        let own = state.clone();
        let server = Server::start("samp-hub", Arc::new(move |method: &str, params: Vec<Value>| own.answer(method, &params)))
            .map_err(|e| format!("no port on loopback for a SAMP hub: {e}"))?;
        let text = format!(
            "# SAMP hub of Asterism; it goes away with it\nsamp.secret={}\nsamp.hub.xmlrpc.url={}\nsamp.profile.version=1.3\n",
            state.secret,
            server.url()
        );
        write_private(lock, &text).map_err(|e| format!("{}: {e}", lock.display()))?;
        Ok(Self { state, lock: lock.to_owned(), _server: server })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.state.event("samp.hub.event.shutdown", &[], None);
        // Another hub's file is not ours to take away.
        if read_lock(&self.lock).is_ok_and(|l| l.secret == self.state.secret) {
            let _ = std::fs::remove_file(&self.lock);
        }
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}

impl State {
    fn answer(self: &Arc<Self>, method: &str, params: &[Value]) -> Result<Value, String> {
        let text = |i: usize| params.get(i).and_then(Value::text).ok_or_else(|| format!("{method}: parameter {i} is missing"));
        let map = |i: usize| match params.get(i) {
            Some(Value::Map(map)) => Ok(map.clone()),
            _ => Err(format!("{method}: parameter {i} must be a map")),
        };
        match method {
            "samp.hub.ping" => return Ok(Value::default()),
            "samp.hub.register" => {
                if text(0)? != self.secret {
                    return Err("wrong secret".into());
                }
                let id = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
                let key = secret();
                locked(&self.clients).insert(key.clone(), Client { id: id.clone(), ..Client::default() });
                self.event("samp.hub.event.register", &[("id", Value::from(id.as_str()))], Some(&id));
                return Ok(Value::map([("samp.private-key", key.as_str()), ("samp.self-id", &id), ("samp.hub-id", HUB)]));
            }
            _ => {}
        }
        let key = text(0)?;
        let own = locked(&self.clients).get(key).map(|c| c.id.clone()).ok_or("no client has this key: register first")?;
        match method {
            "samp.hub.unregister" => {
                locked(&self.clients).remove(key);
                self.event("samp.hub.event.unregister", &[("id", Value::from(own.as_str()))], None);
                Ok(Value::default())
            }
            "samp.hub.setXmlrpcCallback" => {
                let url = text(1)?.to_owned();
                self.change(key, |c| c.callback = Some(url));
                Ok(Value::default())
            }
            "samp.hub.declareMetadata" => {
                let metadata = map(1)?;
                self.change(key, |c| c.metadata = metadata.clone());
                let said = [("id", Value::from(own.as_str())), ("metadata", Value::Map(metadata))];
                self.event("samp.hub.event.metadata", &said, Some(&own));
                Ok(Value::default())
            }
            "samp.hub.declareSubscriptions" => {
                let subscriptions = map(1)?;
                self.change(key, |c| c.subscriptions = subscriptions.clone());
                let said = [("id", Value::from(own.as_str())), ("subscriptions", Value::Map(subscriptions))];
                self.event("samp.hub.event.subscriptions", &said, Some(&own));
                Ok(Value::default())
            }
            "samp.hub.getMetadata" if text(1)? == HUB => {
                Ok(Value::map([("samp.name", "Hub"), ("samp.description.text", "The SAMP hub of Asterism")]))
            }
            "samp.hub.getMetadata" => self.by_id(text(1)?).map(|(_, c)| Value::Map(c.metadata)),
            "samp.hub.getSubscriptions" if text(1)? == HUB => Ok(Value::Map(BTreeMap::new())),
            "samp.hub.getSubscriptions" => self.by_id(text(1)?).map(|(_, c)| Value::Map(c.subscriptions)),
            "samp.hub.getRegisteredClients" => {
                let others = locked(&self.clients).values().filter(|c| c.id != own).map(|c| c.id.clone()).collect::<Vec<_>>();
                Ok(Value::List(std::iter::once(HUB.to_owned()).chain(others).map(Value::from).collect()))
            }
            "samp.hub.getSubscribedClients" => {
                let mtype = text(1)?;
                let found = self.who_takes(mtype, &own);
                Ok(Value::Map(found.into_iter().map(|(_, c)| (c.id, Value::Map(BTreeMap::new()))).collect()))
            }
            "samp.hub.notify" => {
                self.hand_on(&own, text(1)?, params.get(2), None)?;
                Ok(Value::default())
            }
            "samp.hub.notifyAll" => {
                let carried = params.get(1).ok_or("no message")?;
                let found = self.who_takes(carried.word("samp.mtype").unwrap_or(""), &own);
                found.iter().for_each(|(key, c)| self.deliver(key, c, &own, carried, None));
                Ok(Value::List(found.into_iter().map(|(_, c)| Value::from(c.id)).collect()))
            }
            "samp.hub.call" => {
                self.hand_on(&own, text(1)?, params.get(3), Some(Back::Client(key.to_owned(), text(2)?.to_owned())))
            }
            "samp.hub.callAll" => {
                let (tag, carried) = (text(1)?, params.get(2).ok_or("no message")?);
                let found = self.who_takes(carried.word("samp.mtype").unwrap_or(""), &own);
                let mut ids = BTreeMap::new();
                for (to, c) in &found {
                    let id = self.remember(Back::Client(key.to_owned(), tag.to_owned()));
                    self.deliver(to, c, &own, carried, Some(&id));
                    ids.insert(c.id.clone(), Value::from(id));
                }
                Ok(Value::Map(ids))
            }
            "samp.hub.callAndWait" => {
                let (sender, receiver) = sync_channel(1);
                let seconds = params.get(3).and_then(Value::text).and_then(|t| t.parse::<u64>().ok()).filter(|s| *s > 0);
                let id = self.hand_on(&own, text(1)?, params.get(2), Some(Back::Waits(sender)))?;
                let limit = Duration::from_secs(seconds.unwrap_or(3_600));
                let answer = receiver.recv_timeout(limit).map_err(|_| format!("no answer within {} s", limit.as_secs()));
                locked(&self.calls).remove(id.text().unwrap_or(""));
                answer
            }
            "samp.hub.reply" => {
                let (id, answer) = (text(1)?, params.get(2).cloned().unwrap_or_default());
                match locked(&self.calls).remove(id).ok_or("no call has this id")? {
                    Back::Waits(sender) => {
                        // Who waited may have given up.
                        let _ = sender.try_send(answer);
                    }
                    Back::Client(to, tag) => {
                        let url = locked(&self.clients).get(&to).and_then(|c| c.callback.clone());
                        let url = url.ok_or("the client that called is gone")?;
                        post(url, "samp.client.receiveResponse", vec![to.into(), own.into(), tag.into(), answer]);
                    }
                }
                Ok(Value::default())
            }
            other => Err(format!("no method {other}")),
        }
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Client)) {
        if let Some(client) = locked(&self.clients).get_mut(key) {
            change(client);
        }
    }
    fn by_id(&self, id: &str) -> Result<(String, Client), String> {
        let clients = locked(&self.clients);
        let found = clients.iter().find(|(_, c)| c.id == id).map(|(k, c)| (k.clone(), c.clone()));
        found.ok_or_else(|| format!("no client '{id}'"))
    }
    fn who_takes(&self, mtype: &str, but: &str) -> Vec<(String, Client)> {
        let clients = locked(&self.clients);
        clients.iter().filter(|(_, c)| c.id != but && c.takes(mtype)).map(|(k, c)| (k.clone(), c.clone())).collect()
    }
    fn remember(&self, back: Back) -> String {
        let id = format!("m{}", self.next.fetch_add(1, Ordering::Relaxed));
        locked(&self.calls).insert(id.clone(), back);
        id
    }
    /// To one client, which must take it; gives the id of a call.
    fn hand_on(&self, from: &str, to: &str, carried: Option<&Value>, back: Option<Back>) -> Result<Value, String> {
        let carried = carried.ok_or("no message")?;
        let (key, client) = self.by_id(to)?;
        let mtype = carried.word("samp.mtype").unwrap_or("");
        if !client.takes(mtype) {
            return Err(format!("client '{to}' does not take {mtype}"));
        }
        let id = back.map(|b| self.remember(b));
        self.deliver(&key, &client, from, carried, id.as_deref());
        Ok(Value::from(id.unwrap_or_default()))
    }
    fn deliver(&self, key: &str, to: &Client, from: &str, carried: &Value, call: Option<&str>) {
        let Some(url) = to.callback.clone() else { return };
        match call {
            None => post(url, "samp.client.receiveNotification", vec![key.into(), from.into(), carried.clone()]),
            Some(id) => post(url, "samp.client.receiveCall", vec![key.into(), from.into(), id.into(), carried.clone()]),
        }
    }
    fn event(&self, mtype: &str, params: &[(&str, Value)], but: Option<&str>) {
        let carried = message(mtype, Value::map(params.iter().map(|(k, v)| ((*k).to_owned(), v.clone()))));
        for (key, client) in self.who_takes(mtype, but.unwrap_or("")) {
            self.deliver(&key, &client, HUB, &carried, None);
        }
    }
}

/// Calls a client from a thread of its own: one that hangs holds up nobody, one that is gone has missed it.
fn post(url: String, method: &'static str, params: Vec<Value>) {
    let _ = std::thread::Builder::new().name("samp-deliver".into()).spawn(move || wire::call(&url, method, &params));
}
