//! The command line: the window's commands for scripts, notebooks and servers.
//!
//! Words are parsed once by clap; each command is a function that gives a JSON object with its
//! figures. The rules that hold for all (exit status, `--json`, progress, Ctrl+C) stand here.

mod back;
mod bench;
mod cluster;
mod crossmatch;
mod info;
mod reduce;
mod work;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use asterism_session::Settings;
use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};

/// Search an archive, map the answer, brush, refine, take. With no command: the window.
#[derive(Parser)]
#[command(
    name = "asterism",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Example: asterism run recipes/a478.toml -o out"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Action>,
    /// Tables, products or a session to open in the window; with nothing, the sample.
    paths: Vec<String>,
    /// Open the start page instead of the sample.
    #[arg(long)]
    start_page: bool,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Print one JSON object on standard output, and nothing else there.
    #[arg(long, global = true)]
    pub json: bool,
    /// Cores to use; all by default.
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Makes every random choice.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Fail where a limit cut the result off.
    #[arg(long, global = true)]
    pub complete: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Ask an archive.
    #[command(after_help = "Example: asterism search mast --position \"M 31\" --radius 0.1deg -o m31.vot")]
    Search(work::Search),
    /// Say what a table or product holds.
    #[command(after_help = "Example: asterism info spectrum.fits --json")]
    Info(info::Info),
    /// Write a table in another format.
    #[command(after_help = "Example: asterism convert gaia.vot gaia.parquet --columns source_id,ra,dec --where \"parallax > 5\"")]
    Convert(work::Convert),
    /// Join two tables by position in the sky.
    #[command(after_help = "Example: asterism match gaia.vot tic.fits --radius 1arcsec --find best -o both.parquet")]
    Match(crossmatch::Match),
    /// Make a map of a table.
    #[command(after_help = "Example: asterism reduce stars.parquet -o map.parquet --method tsne --columns period,amplitude")]
    Reduce(reduce::Reduce),
    /// Find groups in a table.
    #[command(after_help = "Example: asterism cluster map.parquet -o groups.parquet --method hdbscan --columns map_x,map_y")]
    Cluster(cluster::Cluster),
    /// Turn rows into a rule on columns.
    #[command(after_help = "Example: asterism refine stars.parquet --where \"class = 'Cep'\" --columns period,i_mag")]
    Refine(work::Refine),
    /// Run a recipe: the whole loop.
    #[command(after_help = "Example: asterism run recipes/a478.toml -o out/a478")]
    Run(work::Run),
    /// Draw a session, recipe or table.
    #[command(after_help = work::draw_help())]
    Draw(work::Draw),
    /// List the samples, or write one out.
    #[command(after_help = "Example: asterism sample ogle3 -o samples")]
    Sample(work::Sample),
    /// Measure this machine.
    #[command(after_help = "Example: asterism bench reduce --rows 10000 --json")]
    Bench(bench::Bench),
}

/// What a command gives back.
pub struct Done {
    /// Figures for `--json`.
    pub json: Value,
    /// Text for a person.
    pub text: String,
    /// A limit cut the result off.
    pub truncated: bool,
}

/// Why a command ended.
#[derive(Debug)]
pub enum Ended {
    /// It failed, with words for a person.
    Failed(String),
    /// The words of the call were wrong.
    Usage(String),
    /// Ended by Ctrl+C.
    Interrupted,
}

impl<E: std::fmt::Display> From<E> for Ended {
    fn from(e: E) -> Self {
        if interrupted() { Self::Interrupted } else { Self::Failed(e.to_string()) }
    }
}

/// Result of a command.
pub type Outcome = Result<Done, Ended>;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether Ctrl+C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Run the program with the words of its call.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // clap prints help on standard output with status 0, mistakes on standard error with 2.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    if let Some(threads) = cli.common.threads.filter(|n| *n > 0) {
        // More than this is a typing mistake, and would take longer to start than any work.
        let threads = threads.min(1_024);
        // Fails only when the pool is there already, which it is not at the start.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    // A word alone that is no file is a command that was meant.
    let is_word = |p: &String| p.chars().all(|c| c.is_ascii_lowercase()) && !std::path::Path::new(p).exists();
    if let (None, [word, ..]) = (&cli.command, &cli.paths[..])
        && is_word(word)
    {
        eprintln!("asterism: there is neither a command nor a file named '{word}': asterism --help lists the commands");
        return ExitCode::from(2);
    }
    let Some(command) = cli.command else { return window(&cli.paths, cli.start_page) };
    // Without a handler Ctrl+C ends the program at once, which leaves nothing half-written either.
    // These write nothing but at their end: there is nothing to wait for.
    let at_once = matches!(command, Action::Info(_) | Action::Refine(_) | Action::Bench(_) | Action::Draw(_));
    let _ = ctrlc::set_handler(move || {
        asterism_session::data::atomic::GIVE_UP.store(true, Ordering::Relaxed);
        // Asked twice, it ends without waiting for the step at work.
        if INTERRUPTED.swap(true, Ordering::Relaxed) || at_once {
            std::process::exit(130);
        }
    });
    let table_gb = Settings::load().table_gb;
    if table_gb > 0.0 {
        asterism_session::data::scan::set_limit((table_gb * 1e9) as u64);
    }
    let start = Instant::now();
    let common = &cli.common;
    let outcome = match command {
        Action::Search(a) => work::search(&a, common),
        Action::Info(a) => info::info(&a),
        Action::Convert(a) => work::convert(&a),
        Action::Match(a) => crossmatch::cross_match(&a),
        Action::Reduce(a) => reduce::reduce(&a, common),
        Action::Cluster(a) => cluster::cluster(&a, common),
        Action::Refine(a) => work::refine(&a),
        Action::Run(a) => work::run(&a, common),
        Action::Draw(a) => work::draw(&a, common),
        Action::Sample(a) => work::sample(&a),
        Action::Bench(a) => bench::bench(&a, common),
    };
    match outcome {
        Ok(_) if interrupted() => ExitCode::from(130),
        Ok(done) => {
            let said;
            if common.json {
                let mut object = done.json;
                if let Some(map) = object.as_object_mut() {
                    let all = start.elapsed().as_secs_f64();
                    map.entry("seconds").or_insert(json!({"all": all}));
                    map.entry("total_seconds").or_insert(json!(all));
                    map.entry("peak_bytes").or_insert(json!(peak_bytes()));
                    map.entry("truncated").or_insert(json!(done.truncated));
                }
                said = say(&object);
            } else {
                said = done.text.is_empty() || say(&done.text);
                let warnings = done.json["warnings"].as_array();
                for warning in warnings.into_iter().flatten().filter_map(Value::as_str).filter(|w| !done.text.contains(*w)) {
                    eprintln!("asterism: {warning}");
                }
            }
            if done.truncated {
                eprintln!(
                    "WARNING: the result is TRUNCATED: there are more rows than these. Where a limit cut it off, ask again with a higher \
                     --max-rows or narrow the question; where a file breaks off, fetch it again."
                );
                if common.complete {
                    eprintln!("asterism: --complete asks for all rows, and these are not all");
                    return ExitCode::from(1);
                }
            }
            if said { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(Ended::Failed(text)) => {
            eprintln!("asterism: {text}");
            ExitCode::from(1)
        }
        Err(Ended::Usage(text)) => {
            eprintln!("asterism: {text}");
            ExitCode::from(2)
        }
        Err(Ended::Interrupted) => ExitCode::from(130),
    }
}

fn window(paths: &[String], start_page: bool) -> ExitCode {
    match crate::window::open(Settings::load(), paths, start_page) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("asterism: {e}");
            ExitCode::from(1)
        }
    }
}

/// A line on standard output; false, and told, where it cannot be written. A reader that went away (`| head`) is no error.
fn say(line: &dyn std::fmt::Display) -> bool {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("asterism: standard output cannot be written: {e}");
            false
        }
        _ => true,
    }
}

/// Largest resident set so far, bytes; 0 where the system does not say.
pub fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|kb| kb.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

/// A progress bar on standard error, when that is a terminal.
pub struct Bar(Option<indicatif::ProgressBar>);

impl Bar {
    /// A new bar.
    pub fn new() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let bar = indicatif::ProgressBar::new(0);
            if let Ok(style) = indicatif::ProgressStyle::with_template("{msg:32} {bar:30} {percent:>3} % {eta}") {
                bar.set_style(style);
            }
            bar
        }))
    }
    /// Say how it stands.
    pub fn say(&self, stage: &str, done: u64, of: u64) {
        if let Some(bar) = &self.0 {
            bar.set_message(stage.to_owned());
            bar.set_length(of.max(1));
            bar.set_position(done.min(of.max(1)));
        }
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl asterism_session::reduce::Monitor for Bar {
    fn progress(&self, p: asterism_session::reduce::Progress) {
        self.say(p.stage, p.done, p.of);
    }
    fn stop(&self) -> bool {
        interrupted()
    }
    fn watches(&self) -> bool {
        false
    }
}

/// Looks before any work whether a file of this name can be written.
pub fn writable(path: &std::path::Path) -> Result<(), Ended> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    if !folder.is_dir() {
        return Err(Ended::Failed(format!("{}: there is no folder {}: make it first", path.display(), folder.display())));
    }
    if path.is_dir() {
        return Err(Ended::Failed(format!("{}: is a folder; give the name of a file", path.display())));
    }
    Ok(())
}

/// The same of a table, whose ending must be one that can be written.
pub fn writable_table(path: &std::path::Path) -> Result<(), Ended> {
    asterism_session::data::write::known(path)?;
    writable(path)
}

/// Read the table of a file, as the window would show it.
pub fn read_dataset(path: &std::path::Path) -> Result<asterism_session::Dataset, Ended> {
    let asterism_session::ledger::Read { mut table, images, warnings, .. } = asterism_session::ledger::read_file(path)?;
    table.warnings.extend(warnings);
    let spectra = asterism_session::data::SpectraColumn::find(&table).map(std::sync::Arc::new);
    let ask = asterism_session::Ask::file(PathBuf::from(path));
    Ok(asterism_session::ledger::probe(&ask, table, spectra, images))
}
