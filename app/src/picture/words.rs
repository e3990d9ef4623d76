//! Views in words, as `asterism draw --view`, recipes and scripts name them: `KIND[:OF][?NAME=VALUE[&NAME=VALUE…]]`.
//!
//! A word that is not known is told with those that are. [`HELP`] is what the command line says of them.

use asterism_render::Stretch;
use asterism_render::colour::Lut;
use asterism_render::field::Statistic;
use asterism_session::data::stretch::Cuts;
use asterism_session::sky::SkyFrame;
use asterism_session::{Dataset, Error, Result};

use crate::panes::ensemble::Show;
use crate::panes::scatter::{Placed, ScatterPane};
use crate::panes::sky::Choice;
use crate::panes::{Pane, image, light_curve, sky, spectra};
use crate::widgets::Range2;

/// What can be drawn and how, for a person.
pub const HELP: &str = "Views: KIND[:OF][?NAME=VALUE[&NAME=VALUE…]]
  scatter:MAP or scatter:X,Y   colour=COLUMN colours=viridis cells=count|mean|median|min|max|std contours=yes size=COLUMN
                               equalised=yes grid=yes radius=PT reverse=x|y|xy x=A..B y=A..B; an axis log10(X) is logarithmic; of a map also axes=1,2 or turn=YAW,PITCH (degrees)
  sky                          projection=field|globe|mollweide|aitoff|hammer frame=equatorial|galactic|ecliptic centre=LON,LAT
                               (of a globe) survey=FOLDER|ADDRESS strength=0..1 coverage=MOC footprints=no radius=PT
  spectra                      show=stack|bands|density by-subset=yes lines=no z=REDSHIFT rest=yes row=N
  light-curves                 show=stack|bands|density period=DAYS period-of=COLUMN row=N
  image                        which=N stretch=asinh|linear|log|… cuts=minmax|zscale|LOW,HIGH (percentiles) colours=grey
                               inverted=yes rows=no others=yes footprints=no bands=R,G,B stretch-range=V q=V
  histogram:COLUMN, histograms bins=N log=yes
  gallery, table, components, explain, maps, subsets
Rows and images count from 1. What is named without options is drawn plainly.";

/// A view with options, and what lies outside of a pane: the row that is shown by itself, and the redshift.
#[derive(Clone, Debug)]
pub struct Paned {
    /// The view as the window has it.
    pub pane: Pane,
    /// Row shown by itself, from 0.
    pub row: Option<u32>,
    /// Redshift of the marks of lines.
    pub redshift: Option<f64>,
}

impl From<Pane> for Paned {
    fn from(mut pane: Pane) -> Self {
        // On paper nothing takes turns.
        if let Pane::Image(p) = &mut pane {
            p.blink = false;
        }
        Self { pane, row: None, redshift: None }
    }
}

/// Options of a view: each is taken by the view that knows it.
struct Options<'a> {
    all: Vec<(&'a str, &'a str)>,
}

impl<'a> Options<'a> {
    fn of(text: &'a str) -> Self {
        let part = |p: &'a str| p.split_once('=').unwrap_or((p, "yes"));
        Self { all: text.split('&').filter(|p| !p.is_empty()).map(part).collect() }
    }
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let i = self.all.iter().position(|(n, _)| *n == name)?;
        Some(self.all.remove(i).1)
    }
    fn flag(&mut self, name: &str, or: bool) -> Result<bool> {
        match self.take(name) {
            None => Ok(or),
            Some("yes" | "on" | "true" | "1") => Ok(true),
            Some("no" | "off" | "false" | "0") => Ok(false),
            Some(other) => Err(Error::said(format!("{name}={other}: say yes or no"))),
        }
    }
    fn number(&mut self, name: &str) -> Result<Option<f64>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let v: Option<f64> = text.parse().ok().filter(|v: &f64| v.is_finite());
        v.map(Some).ok_or_else(|| Error::said(format!("{name}={text} is not a number")))
    }
    fn numbers<const N: usize>(&mut self, name: &str) -> Result<Option<[f64; N]>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let all: Vec<f64> = text.split(',').filter_map(|v| v.trim().parse().ok()).collect();
        let all = <[f64; N]>::try_from(all).ok();
        all.map(Some).ok_or_else(|| Error::said(format!("{name}={text}: {N} numbers are wanted, with commas between")))
    }
    /// Counted from 1 by people.
    fn counted(&mut self, name: &str) -> Result<Option<usize>> {
        match self.number(name)? {
            Some(n) if n >= 1.0 && n.fract() == 0.0 => Ok(Some(n as usize - 1)),
            Some(n) => Err(Error::said(format!("{name}={n}: they are counted from 1"))),
            None => Ok(None),
        }
    }
    fn range(&mut self, name: &str) -> Result<Option<[f64; 2]>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let ends = text.split_once("..").and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
        let ends = ends.filter(|e: &[f64; 2]| e.iter().all(|v| v.is_finite()) && e[0] != e[1]);
        ends.map(Some).ok_or_else(|| Error::said(format!("{name}={text}: a range is written LOW..HIGH")))
    }
    fn one_of<T: Clone>(&mut self, name: &str, known: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let words: Vec<&str> = known.iter().map(|(w, _)| *w).collect();
        let found = known.iter().find(|(w, _)| w.eq_ignore_ascii_case(text)).map(|(_, v)| v.clone());
        found.map(Some).ok_or_else(|| Error::said(format!("{name}={text}: there are {}", words.join(", "))))
    }
    fn column(&mut self, dataset: &Dataset, name: &str, or: &[String]) -> Result<Option<String>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let known = dataset.table.column_index(text).is_some() || or.iter().any(|c| c == text);
        if !known {
            asterism_session::select::column_or_expression(dataset, text)?;
        }
        Ok(Some(text.to_owned()))
    }
    fn colours(&mut self, to: &mut String) -> Result<()> {
        let known: Vec<(&str, &str)> = Lut::ALL.iter().map(|l| (l.name(), l.name())).collect();
        if let Some(name) = self.one_of("colours", &known)? {
            *to = name.to_owned();
        }
        Ok(())
    }
    fn show(&mut self) -> Result<Option<Show>> {
        self.one_of("show", &[("stack", Show::Stack), ("bands", Show::Bands), ("density", Show::Density)])
    }
}

/// The view that these words name.
///
/// # Errors
/// When a kind, an option or a value is not known, or the dataset has no such column, row or image.
pub fn view(dataset: &Dataset, kind: &str, of: &str, options: &str) -> Result<Paned> {
    let mut o = Options::of(options);
    let (mut row, mut redshift) = (None, None);
    let pane = match kind {
        "scatter" => Pane::Scatter(Box::new(scatter(dataset, of, &mut o)?)),
        "sky" => Pane::Sky(Box::new(on_sky(&mut o)?)),
        "spectra" => {
            let mut p = spectra::SpectraPane::default();
            p.lines = o.flag("lines", p.lines)?;
            p.show = o.show()?.unwrap_or(p.show);
            p.by_subset = o.flag("by-subset", p.by_subset)?;
            p.rest = o.flag("rest", p.rest)?;
            redshift = o.number("z")?;
            row = o.counted("row")?;
            Pane::Spectra(Box::new(p))
        }
        "light-curves" => {
            let mut p = light_curve::LightCurvePane::default();
            p.many = o.show()?;
            p.period = o.number("period")?.unwrap_or(0.0).max(0.0);
            p.period_column = o.column(dataset, "period-of", &[])?.unwrap_or_default();
            row = o.counted("row")?;
            Pane::LightCurve(Box::new(p))
        }
        "image" => Pane::Image(Box::new(an_image(dataset, &mut o)?)),
        "histogram" | "histograms" => {
            let mut p = crate::panes::histogram::HistogramPane::default();
            if dataset.table.column_index(of).is_some_and(|i| dataset.table.columns()[i].datatype == "string") {
                return Err(Error::said(format!("column '{of}' holds text: a histogram counts numbers")));
            }
            if !of.is_empty() {
                asterism_session::select::column_or_expression(dataset, of)?;
            }
            of.clone_into(&mut p.column);
            p.log = o.flag("log", p.log)?;
            if kind == "histograms" {
                p.column.clear();
            }
            p.bins = o.number("bins")?.map_or(p.bins, |n| n.clamp(2.0, 1000.0) as usize);
            Pane::Histogram(Box::new(p))
        }
        "gallery" => Pane::Gallery(Box::default()),
        "table" => Pane::Table(Box::default()),
        "components" => Pane::Components(Default::default()),
        "explain" => Pane::Explain(Default::default()),
        "maps" => Pane::Maps(Default::default()),
        "subsets" => Pane::Subsets(Default::default()),
        _ => {
            let known = asterism_session::recipe::VIEWS.join(", ");
            return Err(Error::said(format!("no view is named '{kind}': there are {known}")));
        }
    };
    if let Some((name, _)) = o.all.first() {
        return Err(Error::said(format!("the view '{kind}' has no option '{name}': asterism draw --help lists them")));
    }
    let rows = dataset.table.rows();
    if let Some(n) = row.filter(|n| *n >= rows) {
        return Err(Error::said(format!("there is no row {}: '{}' has {rows}", n + 1, dataset.name)));
    }
    Ok(Paned { row: row.map(|n| n as u32), redshift, ..Paned::from(pane) })
}

fn scatter(dataset: &Dataset, of: &str, o: &mut Options<'_>) -> Result<ScatterPane> {
    let mut p = ScatterPane::default();
    p.of = super::placed(dataset, of)?;
    let map = match &p.of {
        Placed::Map(id) => dataset.maps.iter().find(|m| m.id == *id),
        _ => None,
    };
    let own = map.map_or_else(Vec::new, |m| crate::panes::scatter::own_columns(m));
    p.colour = o.column(dataset, "colour", &own)?.unwrap_or_default();
    o.colours(&mut p.lut)?;
    let statistics: Vec<(&str, &str)> = Statistic::ALL.iter().map(|s| (s.name(), s.name())).collect();
    if let Some(name) = o.one_of("cells", &statistics)? {
        if name != Statistic::Count.name() && p.colour.is_empty() {
            return Err(Error::said(format!("cells={name} is of a column: say colour=COLUMN as well")));
        }
        p.cells = name.to_owned();
    }
    p.contours = o.flag("contours", false)?;
    p.equalised = o.flag("equalised", false)?;
    if let Some(axes) = o.one_of("reverse", &[("x", [true, false]), ("y", [false, true]), ("xy", [true, true])])? {
        p.reversed = axes;
    }
    p.grid = o.flag("grid", false)?;
    p.size = o.column(dataset, "size", &[])?.unwrap_or_default();
    p.radius_pt = o.number("radius")?.map_or(p.radius_pt, |r| r.clamp(0.5, 8.0) as f32);
    // Ends are values, also of an axis of logarithms.
    let [log_x, log_y] = p.of.is_log();
    let along = |name: &str, ends: [f64; 2], log: bool| match ends {
        ends if !log => Ok(ends),
        [a, b] if a > 0.0 && b > 0.0 => Ok([a.log10(), b.log10()]),
        [a, b] => Err(Error::said(format!("{name}={a}..{b}: the axis is logarithmic, and holds what is above zero"))),
    };
    p.view = match (o.range("x")?, o.range("y")?) {
        (Some(x), Some(y)) => {
            let (x, y) = (along("x", x, log_x)?, along("y", y, log_y)?);
            let turned = |[a, b]: [f64; 2], reversed: bool| if reversed && a < b { [b, a] } else { [a, b] };
            Some(Range2 { x: turned(x, p.reversed[0]), y: turned(y, p.reversed[1]) })
        }
        (None, None) => None,
        _ => return Err(Error::said("a part of a scatter has both x=A..B and y=A..B")),
    };
    let dims = map.map_or(0, |m| m.coords.dims);
    if let Some([across, up]) = o.numbers::<2>("axes")? {
        if [across, up].iter().any(|a| *a < 1.0 || *a > dims as f64 || a.fract() != 0.0) {
            return Err(Error::said(format!("axes={across},{up}: the map has {dims}, counted from 1")));
        }
        p.parts = [across as usize - 1, up as usize - 1, p.parts[2]];
        p.turned = Some(false);
    }
    if let Some(turn) = o.numbers::<2>("turn")? {
        if dims < 3 {
            return Err(Error::said("only a map of three or more dimensions is turned: make one with --dims 3"));
        }
        p.turn = turn.map(f64::to_radians);
        p.turned = Some(true);
    }
    Ok(p)
}

fn on_sky(o: &mut Options<'_>) -> Result<sky::SkyPane> {
    let mut p = sky::SkyPane::default();
    let known = [
        ("automatic", Choice::Automatic),
        ("field", Choice::Field),
        ("globe", Choice::Globe),
        ("mollweide", Choice::Mollweide),
        ("aitoff", Choice::Aitoff),
        ("hammer", Choice::Hammer),
    ];
    p.projection = o.one_of("projection", &known)?.unwrap_or(p.projection);
    p.frame = o.one_of("frame", &SkyFrame::ALL.map(|f| (f.word(), f)))?.unwrap_or(p.frame);
    p.globe = o.numbers::<2>("centre")?;
    if p.globe.is_some() && p.projection != Choice::Globe {
        return Err(Error::said("centre=LON,LAT is of a globe: say projection=globe as well"));
    }
    if let Some(survey) = o.take("survey") {
        p.set_survey(survey);
    }
    p.strength = o.number("strength")?.map_or(p.strength, |v| v.clamp(0.0, 1.0) as f32);
    p.coverage = o.take("coverage").unwrap_or_default().to_owned();
    p.footprints = o.flag("footprints", p.footprints)?;
    p.radius_pt = o.number("radius")?.map_or(p.radius_pt, |r| r.clamp(0.5, 8.0) as f32);
    Ok(p)
}

fn an_image(dataset: &Dataset, o: &mut Options<'_>) -> Result<image::ImagePane> {
    let mut p = image::ImagePane::default();
    let images = dataset.images.len();
    let there = |n: usize| {
        if n < images { Ok(n) } else { Err(Error::said(format!("there is no image {}: '{}' has {images}", n + 1, dataset.name))) }
    };
    p.index = there(o.counted("which")?.unwrap_or(0))?;
    let stretches: Vec<(&str, Stretch)> = Stretch::ALL.iter().map(|s| (image::stretch_name(*s), *s)).collect();
    if let Some(stretch) = o.one_of("stretch", &stretches)? {
        p.stretch = image::stretch_name(stretch).into();
    }
    p.cuts = match o.take("cuts") {
        None => p.cuts,
        Some("minmax") => Cuts::MinMax,
        Some("zscale") => Cuts::ZScale,
        Some(text) => match text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))) {
            Some((a, b)) if (0.0..b).contains(&a) && b <= 100.0 => Cuts::Percentile(a, b),
            _ => return Err(Error::said(format!("cuts={text}: say minmax, zscale, or two percentiles as in 2,99.5"))),
        },
    };
    o.colours(&mut p.lut)?;
    p.inverted = o.flag("inverted", false)?;
    p.rows = o.flag("rows", true)?;
    p.others = o.flag("others", false)?;
    p.footprints = o.flag("footprints", true)?;
    if let Some(bands) = o.numbers::<3>("bands")? {
        p.bands.on = true;
        for (to, n) in p.bands.layers.iter_mut().zip(bands) {
            if n < 1.0 || n.fract() != 0.0 {
                return Err(Error::said(format!("bands: there is no image {n}: they are counted from 1")));
            }
            *to = there(n as usize - 1)?;
        }
        if p.bands.layers.iter().all(|n| *n == p.bands.layers[0]) {
            return Err(Error::said("bands: three times the same image is no picture in colours: name two or three"));
        }
    }
    p.bands.stretch = o.number("stretch-range")?.unwrap_or(p.bands.stretch);
    p.bands.q = o.number("q")?.unwrap_or(p.bands.q);
    Ok(p)
}
