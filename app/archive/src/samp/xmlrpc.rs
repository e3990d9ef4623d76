//! XML-RPC as far as SAMP needs it: calls and answers made of strings, lists and maps.
//!
//! SAMP sends nothing but these three ("SAMP data types", section 3.3 of the standard); numbers and booleans of other people's
//! servers are taken as their text. A document type is refused, so nothing is expanded or fetched. An XML-RPC crate was not taken:
//! those there are bring a second version of the XML reader, for this one page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event as Xml;

/// How deep values may lie in each other.
const DEPTH: usize = 32;

/// A value that SAMP can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text; numbers and booleans (`1`, `0`) too.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

impl Default for Value {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Value {
    /// A map of these.
    pub fn map<K: Into<String>, V: Into<Self>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
    /// A member of a map.
    pub fn get(&self, name: &str) -> Option<&Self> {
        if let Self::Map(map) = self { map.get(name) } else { None }
    }
    /// The text of a member of a map.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::text)
    }
}

/// A call: its method and parameters.
pub fn call(method: &str, params: &[Value]) -> String {
    let mut out = format!("<?xml version=\"1.0\"?>\n<methodCall><methodName>{}</methodName><params>", escape(method));
    for value in params {
        out.push_str("<param>");
        write_value(&mut out, value);
        out.push_str("</param>");
    }
    out.push_str("</params></methodCall>");
    out
}

/// An answer.
pub fn answer(value: &Value) -> String {
    let mut out = String::from("<?xml version=\"1.0\"?>\n<methodResponse><params><param>");
    write_value(&mut out, value);
    out.push_str("</param></params></methodResponse>");
    out
}

/// A refusal.
pub fn fault(code: i32, words: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>{code}</int></value>\
         </member><member><name>faultString</name><value><string>{}</string></value></member></struct></value></fault>\
         </methodResponse>",
        escape(words)
    )
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Text(text) => {
            // Writing into a string cannot fail.
            let _ = write!(out, "<value><string>{}</string></value>", escape(text));
        }
        Value::List(list) => {
            out.push_str("<value><array><data>");
            list.iter().for_each(|v| write_value(out, v));
            out.push_str("</data></array></value>");
        }
        Value::Map(map) => {
            out.push_str("<value><struct>");
            for (name, v) in map {
                let _ = write!(out, "<member><name>{}</name>", escape(name));
                write_value(out, v);
                out.push_str("</member>");
            }
            out.push_str("</struct></value>");
        }
    }
}

/// A call that came: its method and parameters.
///
/// # Errors
/// What is wrong with the document.
pub fn read_call(text: &str) -> Result<(String, Vec<Value>), String> {
    let mut reader = Source::new(text);
    reader.enter("methodCall")?;
    reader.enter("methodName")?;
    let method = reader.words("methodName")?.trim().to_owned();
    let mut params = Vec::new();
    while let Some(tag) = reader.next_tag()? {
        match tag.as_str() {
            "param" => {
                reader.enter("value")?;
                params.push(reader.value(0)?);
            }
            "params" => {}
            other => return Err(format!("<{other}> in a call")),
        }
    }
    Ok((method, params))
}

/// An answer that came; a fault's words as the error.
///
/// # Errors
/// The words of a fault, or what is wrong with the document.
pub fn read_answer(text: &str) -> Result<Value, String> {
    let mut reader = Source::new(text);
    reader.enter("methodResponse")?;
    while let Some(tag) = reader.next_tag()? {
        match tag.as_str() {
            "fault" => {
                reader.enter("value")?;
                let value = reader.value(0)?;
                return Err(value.word("faultString").unwrap_or("it failed without a word").to_owned());
            }
            "value" => return reader.value(0),
            "params" | "param" => {}
            other => return Err(format!("<{other}> in an answer")),
        }
    }
    Ok(Value::default())
}

struct Source<'a> {
    reader: Reader<&'a [u8]>,
}

enum Step {
    Open(String),
    Empty(String),
    Close,
    Words(String),
    End,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        Self { reader: Reader::from_str(text) }
    }

    fn step(&mut self) -> Result<Step, String> {
        loop {
            let name = |e: &quick_xml::events::BytesStart<'_>| e.local_name().as_ref().to_owned();
            return Ok(match self.reader.read_event().map_err(|e| e.to_string())? {
                Xml::Start(e) => Step::Open(name(&e)),
                Xml::Empty(e) => Step::Empty(name(&e)),
                Xml::End(_) => Step::Close,
                Xml::Text(t) => Step::Words(t.xml10_content().into_owned()),
                Xml::CData(t) => Step::Words(t.xml10_content().into_owned()),
                Xml::GeneralRef(r) => match r.resolve_char_ref() {
                    Ok(Some(c)) => Step::Words(c.to_string()),
                    _ => Step::Words(crate::text::unescape(&format!("&{};", r.xml10_content()))),
                },
                Xml::DocType(_) => return Err("a document type is not taken".into()),
                Xml::Eof => Step::End,
                _ => continue,
            });
        }
    }

    /// The next element's name, past words and ends; `None` at the end of the document.
    fn next_tag(&mut self) -> Result<Option<String>, String> {
        loop {
            match self.step()? {
                Step::Open(tag) => return Ok(Some(tag)),
                // Empty <params/>, and the empty string.
                Step::Empty(tag) if tag == "value" => return Err("an empty <value/> where a list of parameters was said".into()),
                Step::Empty(_) | Step::Close | Step::Words(_) => {}
                Step::End => return Ok(None),
            }
        }
    }

    fn enter(&mut self, wanted: &str) -> Result<(), String> {
        match self.next_tag()? {
            Some(tag) if tag == wanted => Ok(()),
            Some(tag) => Err(format!("<{tag}> in the place of <{wanted}>")),
            None => Err(format!("no <{wanted}>")),
        }
    }

    /// The words of the element that was just opened, past its end.
    fn words(&mut self, of: &str) -> Result<String, String> {
        let mut out = String::new();
        loop {
            match self.step()? {
                Step::Words(words) => out.push_str(&words),
                Step::Close => return Ok(out),
                Step::Open(tag) | Step::Empty(tag) => return Err(format!("<{tag}> in <{of}>")),
                Step::End => return Err(format!("it ends in <{of}>")),
            }
        }
    }

    /// The value whose <value> was just opened, past its end.
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err(format!("values lie more than {DEPTH} deep in each other"));
        }
        let mut bare = String::new();
        let mut found = None;
        loop {
            match self.step()? {
                Step::Words(words) => bare.push_str(&words),
                Step::Close => return Ok(found.unwrap_or(Value::Text(bare))),
                Step::Open(tag) => {
                    found = Some(match tag.as_str() {
                        "array" => self.list(depth)?,
                        "struct" => self.members(depth)?,
                        scalar => Value::Text(self.words(scalar)?),
                    });
                }
                Step::Empty(tag) => {
                    found = Some(match tag.as_str() {
                        "array" => Value::List(Vec::new()),
                        "struct" => Value::Map(BTreeMap::new()),
                        _ => Value::default(),
                    });
                }
                Step::End => return Err("it ends in a value".into()),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let mut out = Vec::new();
        loop {
            match self.step()? {
                Step::Open(tag) if tag == "data" => {}
                Step::Open(tag) if tag == "value" => out.push(self.value(depth + 1)?),
                Step::Empty(tag) if tag == "value" => out.push(Value::default()),
                Step::Empty(_) | Step::Words(_) => {}
                Step::Open(tag) => return Err(format!("<{tag}> in a list")),
                // The end of <data>, then that of <array>.
                Step::Close => {
                    while !matches!(self.step()?, Step::Close) {}
                    return Ok(Value::List(out));
                }
                Step::End => return Err("it ends in a list".into()),
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Value, String> {
        let mut out = BTreeMap::new();
        let mut name = String::new();
        let mut inside = false;
        loop {
            match self.step()? {
                Step::Open(tag) if tag == "member" => inside = true,
                Step::Open(tag) if tag == "name" => name = self.words("name")?,
                Step::Open(tag) if tag == "value" => {
                    let value = self.value(depth + 1)?;
                    out.insert(std::mem::take(&mut name), value);
                }
                Step::Empty(tag) if tag == "value" => {
                    out.insert(std::mem::take(&mut name), Value::default());
                }
                Step::Empty(_) | Step::Words(_) => {}
                Step::Open(tag) => return Err(format!("<{tag}> in a map")),
                Step::Close if inside => inside = false,
                Step::Close => return Ok(Value::Map(out)),
                Step::End => return Err("it ends in a map".into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> Value {
        Value::map([
            ("samp.mtype", Value::from("table.select.rowList")),
            (
                "samp.params",
                Value::map([
                    ("row-list", Value::List(vec!["0".into(), "17".into(), "".into()])),
                    ("name", Value::from("a < b & \"c\" é")),
                    ("none", Value::List(Vec::new())),
                    ("nothing", Value::Map(BTreeMap::new())),
                ]),
            ),
        ])
    }

    #[test]
    fn values_come_back_as_they_went() {
        let (method, params) = read_call(&call("samp.hub.notifyAll", &["key".into(), sample()])).unwrap();
        assert_eq!((method.as_str(), params), ("samp.hub.notifyAll", vec!["key".into(), sample()]));
        assert_eq!(read_answer(&answer(&sample())).unwrap(), sample());
        assert_eq!(read_answer(&fault(1, "no <such> client")), Err("no <such> client".into()));
    }

    #[test]
    fn other_peoples_spellings_are_read() {
        // As Python's xmlrpc and Apache's write it: bare text, numbers, blanks between elements.
        let text = "<?xml version='1.0'?><methodCall>\n <methodName>a.b</methodName>\n <params>\n<param>\n<value>bare</value></param>\
                    <param><value><int>4</int></value></param><param><value><array>\n<data>\n<value><string/></value><value/>\n</data>\n\
                    </array></value></param></params></methodCall>";
        let (method, params) = read_call(text).unwrap();
        assert_eq!(method, "a.b");
        assert_eq!(params, vec!["bare".into(), "4".into(), Value::List(vec!["".into(), "".into()])]);
        assert_eq!(read_call("<methodCall><methodName>x</methodName></methodCall>").unwrap(), ("x".into(), vec![]));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let deep = format!("<methodCall><methodName>x</methodName><params><param>{}", "<value><array><data>".repeat(100));
        for bad in ["", "<html/>", "<methodCall>", "<!DOCTYPE a [<!ENTITY b \"c\">]><methodCall/>", deep.as_str()] {
            assert!(read_call(bad).is_err(), "{bad}");
        }
    }
}
