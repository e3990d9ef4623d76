//! Doors beside TAP: recorded answers of cone search, images, spectra and links, a cone search that looks, SODA at once and as a
//! job, a registry of all of them, HATS catalogues in a folder, and what MAST has beside its portal.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterism_archive::Kind;
use asterism_archive::replay::{Manner, Reply, Route, Seen};
use asterism_data::crossmatch::{Find, Positions, cross_match};
use asterism_data::{ColumnMeta, RowSet, Table};
use asterism_session::sample;

use super::{error, votable};

/// Services that answer with what was recorded, by path.
const RECORDED: [(&str, &str); 4] = [
    ("/scs", "scs/scs-result.xml"),
    ("/sia2/v2query", "sia2/sia2-dataset.xml"),
    ("/sia", "sia1/sia1-dataset.xml"),
    ("/ssa", "ssa/ssa-result.xml"),
];

/// What the list of services shows first: name, kind, path, description.
pub const DOORS: [(&str, Kind, &str, &str); 6] = [
    ("Samples by TAP", Kind::Tap, "/tap", "The samples, on this machine"),
    ("Recorded cone search", Kind::Cone, "/scs", "Rows of a cone search, as recorded"),
    ("Recorded images", Kind::Sia, "/sia", "Images by SIA 1, as recorded"),
    ("Recorded images (2)", Kind::Sia2, "/sia2/capabilities", "Images by SIA 2, as recorded"),
    ("Recorded spectra", Kind::Ssa, "/ssa", "Spectra by SSA, as recorded"),
    ("Variable stars by cone", Kind::Cone, "/cone/ogle3", "The sample ogle3 by cone search"),
];

/// The routes; `vo` and `hats` are folders that may be missing.
pub fn routes(vo: &Path, hats: &Path, manner: Manner) -> Vec<Route> {
    let described = vo.to_path_buf();
    let mut routes = vec![Route::new("GET", "/sia2/capabilities", move |seen, _| Some(capabilities(&described, seen)))];
    for (path, recorded) in RECORDED {
        let file = vo.join(recorded);
        routes.push(Route::new("GET", path, move |_, _| Some(as_votable(&file).manner(manner))));
    }
    routes.push(Route::new("POST", "/registry/tap/sync", move |seen, _| Some(registry(seen))));
    routes.push(Route::new("GET", "/cone/", move |seen, _| Some(cone(seen).manner(manner))));
    routes.push(Route::new("GET", "/links", |seen, _| Some(links(seen))));
    routes.push(Route::new("GET", "/files/a478.fits", |_, _| Some(Reply::bytes(image()).header("Content-Type", FITS))));
    routes.push(Route::new("GET", "/soda/sync", |_, _| Some(Reply::bytes(image()).header("Content-Type", FITS))));
    let jobs: Arc<Mutex<Vec<Instant>>> = Arc::default();
    for method in ["POST", "GET", "DELETE"] {
        let jobs = jobs.clone();
        routes.push(Route::new(method, "/soda/async", move |seen, _| Some(soda_job(&jobs, seen))));
    }
    let folder = hats.to_path_buf();
    routes.push(Route::new("GET", "/hats/", move |seen, _| Some(part_of_file(&folder, seen))));
    routes
}

/// What MAST has beside its portal: a token that it knows (any), and the services that cut.
pub fn mast_routes(mast: &Path) -> Vec<Route> {
    let (tess, fields) = (mast.join("astrocut_107.27_-70.0_5x5.zip"), mast.join("astrocut_189.49206_62.20615_100x100px.zip"));
    let json = |text: &'static str| Some(Reply::bytes(text).header("Content-Type", "application/json"));
    vec![
        Route::new("GET", "/whoami", move |seen, _| {
            json(match seen.header("authorization") {
                Some(_) => r#"{"anon": false, "attrib": {"display_name": "A. Person", "email": "a.person@example.org"}}"#,
                None => r#"{"anon": true, "attrib": {}}"#,
            })
        }),
        Route::new("GET", "/tesscut/api/v0.1/astrocut", move |_, _| Some(Reply::file(&tess).header("Content-Type", ZIP))),
        Route::new("GET", "/zcut/api/v0.1/survey", move |_, _| json(r#"{"surveys": ["candels_gn_30mas"], "msg": ""}"#)),
        Route::new("GET", "/zcut/api/v0.1/astrocut", move |_, _| Some(Reply::file(&fields).header("Content-Type", ZIP))),
    ]
}

const FITS: &str = "application/fits";
const ZIP: &str = "application/zip";

fn as_votable(path: &Path) -> Reply {
    let reply = Reply::file(path);
    if reply.status == 200 { reply.header(super::VOTABLE.0, super::VOTABLE.1) } else { reply }
}

/// The Hubble image of the sample `a478`.
fn image() -> Vec<u8> {
    include_bytes!("../../../assets/samples/a478-hst.fits").to_vec()
}

fn host(seen: &Seen) -> &str {
    seen.header("host").unwrap_or_default()
}

/// The recorded capabilities of an SIA 2 service, with this server's own address.
fn capabilities(vo: &Path, seen: &Seen) -> Reply {
    match std::fs::read_to_string(vo.join("sia2/sia2-capabilities.xml")) {
        Ok(text) => {
            let here = format!("http://{}/sia2/", host(seen));
            Reply::bytes(text.replace("https://example.com/sia/", &here).replace("https://example.com/", &here))
        }
        Err(e) => Reply::bytes(e.to_string()).status(404),
    }
}

/// A cone search of a sample: `/cone/NAME?RA=&DEC=&SR=`, degrees.
fn cone(seen: &Seen) -> Reply {
    let number = |key: &str| seen.query(key).and_then(|t| t.parse::<f64>().ok()).ok_or(format!("{key} is missing or no number"));
    let found = || -> Result<Vec<u8>, String> {
        let (ra, dec, radius) = (number("RA")?, number("DEC")?, number("SR")?);
        let name = seen.path().trim_start_matches("/cone/").trim_matches('/');
        let table = sample::table(sample::by_name(name).ok_or("no such sample")?).map_err(|e| e.to_string())?;
        let mut centre = Table::default();
        for (name, value) in [("ra", ra), ("dec", dec)] {
            centre.with_f64_column(name, vec![value], ColumnMeta::default()).map_err(|e| e.to_string())?;
        }
        let at = |t: &Table| Positions::of(t, None).map_err(|e| e.to_string());
        let near = cross_match(&at(&centre)?, &at(&table)?, radius * 3600.0, Find::All, &|_, _, _| true);
        let rows = near.map_err(|e| e.to_string())?.pairs.into_iter().map(|p| p.b as usize);
        let part = table.take(&RowSet::from_rows(table.rows(), rows)).map_err(|e| e.to_string())?;
        super::written(&part)
    };
    found().map_or_else(|why| error(&why), votable)
}

/// A document of links (DataLink 1.1): the image, a preview of nothing, and SODA in both ways.
fn links(seen: &Seen) -> Reply {
    let here = format!("http://{}", host(seen));
    let fields = ["ID", "access_url", "service_def", "error_message", "semantics", "description", "content_type"]
        .map(|f| format!("<FIELD name='{f}' datatype='char' arraysize='*'/>"))
        .concat();
    let row = |cells: [&str; 6]| format!("<TR><TD>a478</TD>{}</TR>", cells.map(|c| format!("<TD>{c}</TD>")).concat());
    let rows = [
        row([&format!("{here}/files/a478.fits"), "", "", "#this", "The image", FITS]),
        row([&format!("{here}/files/preview.png"), "", "", "#preview", "A preview that is not there", "image/png"]),
        row(["", "cut", "", "#cutout", "A part of the image, at once", FITS]),
        row(["", "cut-later", "", "#cutout", "A part of the image, by a job", FITS]),
    ]
    .concat();
    let service = |id: &str, kind: &str| {
        format!(
            "<RESOURCE type='meta' utype='adhoc:service' ID='{id}'><PARAM name='standardID' datatype='char' arraysize='*' \
             value='ivo://ivoa.net/std/SODA#{kind}-1.0'/><PARAM name='accessURL' datatype='char' arraysize='*' value='{here}/soda/{kind}'/>\
             <GROUP name='inputParams'><PARAM name='ID' datatype='char' arraysize='*' ref='id' value='a478'/>\
             <PARAM name='CIRCLE' datatype='double' arraysize='3' unit='deg' xtype='circle' ucd='phys.angArea;obs' value=''/>\
             </GROUP></RESOURCE>"
        )
    };
    votable(format!(
        "<VOTABLE version='1.4' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE type='results'><INFO name='QUERY_STATUS' value='OK'/>\
         <TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE>{}{}</VOTABLE>",
        service("cut", "sync"),
        service("cut-later", "async")
    ))
}

/// A SODA job (UWS): runs for three seconds, its result is the image.
fn soda_job(jobs: &Mutex<Vec<Instant>>, seen: &Seen) -> Reply {
    let Ok(mut jobs) = jobs.lock() else { return Reply::bytes("").status(500) };
    let words: Vec<&str> = seen.path().trim_start_matches("/soda/async").split('/').filter(|w| !w.is_empty()).collect();
    let job = |n: usize| Reply::redirect(303, &format!("http://{}/soda/async/{n}", host(seen)));
    let Some(n) = words.first().and_then(|w| w.parse::<usize>().ok()) else {
        if seen.method != "POST" {
            return Reply::bytes("jobs are not listed").status(403);
        }
        jobs.push(Instant::now());
        return job(jobs.len() - 1);
    };
    let Some(made) = jobs.get_mut(n) else { return Reply::bytes("no such job").status(404) };
    let done = made.elapsed() > Duration::from_secs(3);
    match (seen.method.as_str(), words.get(1).copied()) {
        ("POST", Some("phase")) => job(n),
        (_, Some("results")) if done => Reply::bytes(image()).header("Content-Type", FITS),
        (_, None) => {
            let (phase, results) = if done {
                let href = format!("http://{}/soda/async/{n}/results/cut", host(seen));
                ("COMPLETED", format!("<uws:results><uws:result id='cut' xlink:href='{href}'/></uws:results>"))
            } else {
                ("EXECUTING", String::new())
            };
            Reply::bytes(format!(
                "<uws:job xmlns:uws='http://www.ivoa.net/xml/UWS/v1.0' xmlns:xlink='http://www.w3.org/1999/xlink' version='1.1'>\
                 <uws:jobId>{n}</uws:jobId><uws:phase>{phase}</uws:phase>{results}</uws:job>"
            ))
            .header("Content-Type", "application/xml")
        }
        _ => Reply::bytes("nothing there").status(404),
    }
}

/// A file below the folder, or the part of it that `Range` names.
fn part_of_file(folder: &Path, seen: &Seen) -> Reply {
    let name = seen.path().trim_start_matches("/hats/");
    let path: PathBuf = folder.join(name);
    if name.split('/').any(|w| w == "..") || !path.is_file() {
        return Reply::bytes("no such file").status(404);
    }
    let whole = Reply::file(&path);
    let len = whole.body.len();
    let Some((first, last)) = seen.header("range").and_then(|r| r.strip_prefix("bytes=")?.split_once('-')) else { return whole };
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Err(_), Ok(n)) => (len.saturating_sub(n), len),
        (Ok(first), Ok(last)) => (first.min(len), (last + 1).min(len)),
        (Ok(first), Err(_)) => (first.min(len), len),
        _ => return whole,
    };
    if first >= last {
        return Reply::bytes("").status(416);
    }
    Reply::bytes(whole.body[first..last].to_vec())
        .status(206)
        .header("Content-Range", &format!("bytes {first}-{}/{len}", last - 1))
}

/// The services above, as a registry tells of them.
fn registry(seen: &Seen) -> Reply {
    let standard = |kind: Kind| match kind {
        Kind::Cone => "ivo://ivoa.net/std/conesearch",
        Kind::Sia => "ivo://ivoa.net/std/sia",
        Kind::Sia2 => "ivo://ivoa.net/std/sia#query-2.0",
        Kind::Ssa => "ivo://ivoa.net/std/ssa",
        _ => "ivo://ivoa.net/std/tap",
    };
    let query = seen.form("QUERY").unwrap_or_default();
    // The patterns behind a phrase, without their '%'.
    let begins = |phrase: &str, standard: &str| {
        query.split(phrase).skip(1).any(|t| t.split('%').next().is_some_and(|pattern| standard.starts_with(pattern)))
    };
    let wanted = |kind: Kind| begins("standard_id LIKE '", standard(kind)) && !begins("standard_id NOT LIKE '", standard(kind));
    let mut rows = String::new();
    for (name, kind, path, about) in DOORS.iter().filter(|d| wanted(d.1)) {
        let short = path.trim_matches('/');
        rows += &format!(
            "<TR><TD>ivo://replay/{short}</TD><TD>{short}</TD><TD>{name}</TD><TD>{about}</TD><TD/><TD>optical</TD><TD>{}</TD><TD>http://{}{path}</TD></TR>",
            standard(*kind),
            host(seen)
        );
    }
    let fields: String =
        ["ivoid", "short_name", "res_title", "res_description", "reference_url", "waveband", "standard_id", "access_url"]
            .map(|f| format!("<FIELD name='{f}' datatype='char' arraysize='*'/>"))
            .concat();
    votable(format!(
        "<VOTABLE xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE type='results'><INFO name='QUERY_STATUS' value='OK'/>\
         <TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    ))
}
