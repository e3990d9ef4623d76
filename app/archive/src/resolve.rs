//! Positions of names, by MAST's resolver, and by the portal where that is down.
//!
//! The resolver asks SIMBAD, NED and the catalogues behind TIC, KIC and EPIC numbers, and lists the best first. It says `decl` where
//! others say `dec`, writes what was searched for in lower case, and leaves out names that nobody knows. The choice not taken is to
//! ask SIMBAD itself, which knows no TIC numbers. Protocol: "Santa-war" name resolver, `Mast.Name.Lookup`.

use serde_json::{Value, json};

use crate::http::Call;
use crate::text::describe_other;
use crate::{Client, Error, Resolved, Result};

impl Client {
    /// Position of a name. MAST's resolver asks SIMBAD, NED and the catalogues behind TIC, KIC and EPIC numbers.
    ///
    /// # Errors
    /// [`Error::Position`] when nobody knows the name; else as [`Client::search`].
    pub fn resolve(&self, name: &str, cancelled: &dyn Fn() -> bool) -> Result<Resolved> {
        let name = name.trim();
        // Two numbers are meant as a position, and this one is not on the sky.
        let numbers: Vec<f64> = name.split([' ', ',', ';']).filter(|w| !w.is_empty()).map_while(|w| w.parse().ok()).collect();
        if numbers.len() == 2 && name.split([' ', ',', ';']).filter(|w| !w.is_empty()).count() == 2 {
            return Err(Error::Position(format!(
                "'{name}' lies nowhere on the sky: right ascension goes from 0 to 360 and declination from −90 to 90 degrees"
            )));
        }
        let unknown = || {
            Error::Position(format!(
                "no resolver knows '{name}'; check the spelling, or give a position in degrees: \"10.68 41.27\""
            ))
        };
        if name.is_empty() {
            return Err(Error::Position("a name or a position is needed".into()));
        }
        let first = (|| {
            let mut url = self.http.url(&self.services().resolver)?;
            url.query_pairs_mut()
                .append_pair("name", name)
                .append_pair("outputFormat", "json")
                .append_pair("resolveAll", "false");
            let response = self.http.send(&Call::get(url).accept("application/json"), cancelled)?;
            let service = response.service.clone();
            let bytes = self.http.read_all(response, 1 << 20, cancelled)?;
            let value: Value =
                serde_json::from_slice(&bytes).map_err(|_| Error::not_a_table(&service, describe_other(&bytes)))?;
            Ok(pick_resolved(&value["resolvedCoordinate"], name))
        })();
        match first {
            Ok(Some(found)) => return Ok(found),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            _ => {}
        }
        let text =
            json!({"service": "Mast.Name.Lookup", "params": {"input": name, "format": "json"}, "format": "json"}).to_string();
        match (self.invoke(&text, cancelled, None, &|_| Ok(()), &|_| None), first) {
            (Ok(page), _) => page.other.get("resolvedCoordinate").and_then(|list| pick_resolved(list, name)).ok_or_else(unknown),
            (Err(Error::Cancelled), _) => Err(Error::Cancelled),
            // The resolver itself answered, with nothing.
            (Err(_), Ok(_)) => Err(unknown()),
            (Err(_), Err(first)) => Err(first),
        }
    }
}

/// The first entry for this name: MAST lists the best first. `decl`, not `dec`.
fn pick_resolved(list: &Value, name: &str) -> Option<Resolved> {
    let list = list.as_array()?;
    let wanted = name.to_lowercase();
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str().and_then(|t| t.trim().parse().ok()));
    let read = |v: &Value| {
        let (ra_deg, dec_deg) = (number(&v["ra"])?, number(&v["decl"]).or_else(|| number(&v["dec"]))?);
        let text = |key: &str| v[key].as_str().map(crate::text::squeeze).filter(|t| !t.is_empty());
        Some(Resolved {
            name: text("canonicalName").unwrap_or_else(|| name.into()),
            ra_deg,
            dec_deg,
            resolver: text("resolver").unwrap_or_else(|| "MAST".into()),
        })
    };
    let same = |v: &&Value| v["searchString"].as_str().is_some_and(|s| s.trim().to_lowercase() == wanted);
    list.iter().find(same).and_then(read).or_else(|| if list.len() == 1 { read(&list[0]) } else { None })
}
