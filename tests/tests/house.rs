//! Who may import whom. The table is that of ARCHITECTURE.md; a crate that wants more changes both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn dependencies(folder: &str) -> BTreeSet<String> {
    let path = root().join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: toml::Table = toml::from_str(&text).expect("a manifest is TOML");
    let mut all = BTreeSet::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        if let Some(list) = file.get(kind).and_then(|v| v.as_table()) {
            all.extend(list.keys().cloned());
        }
    }
    all
}

const HOUSE: &[(&str, &[&str])] = &[
    ("reduce", &[]),
    ("render", &[]),
    ("app/data", &[]),
    ("app/archive", &["asterism-data"]),
    ("app/session", &["asterism-data", "asterism-archive", "asterism-reduce"]),
    ("app", &["asterism-session", "asterism-render", "asterism-data", "asterism-archive", "asterism-reduce"]),
];

/// Outside crates that only one of ours uses (the tests may use all).
const OWN: &[(&str, &[&str])] = &[
    ("reduce", &["linfa", "linfa-trees", "gemm", "faer", "rustfft", "realfft", "hdbscan-rs"]),
    ("app/data", &["polars", "fitskit"]),
    ("app/archive", &["reqwest", "tokio", "rustls", "sqlparser", "zbus", "keyring"]),
    ("app", &["egui", "eframe", "egui_tiles", "rfd", "clap"]),
];

#[test]
fn nobody_imports_what_the_house_forbids() {
    let mut wrong = Vec::new();
    for (folder, may) in HOUSE {
        for dependency in dependencies(folder) {
            if dependency.starts_with("asterism") && !may.contains(&dependency.as_str()) {
                wrong.push(format!("{folder} imports {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn outside_crates_stay_where_they_belong() {
    let all: BTreeMap<&str, BTreeSet<String>> = HOUSE.iter().map(|(folder, _)| (*folder, dependencies(folder))).collect();
    let mut wrong = Vec::new();
    for (owner, crates) in OWN {
        for (folder, have) in &all {
            for name in *crates {
                if folder != owner && have.contains(*name) {
                    wrong.push(format!("{folder} uses {name}, which is {owner}'s"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn reduce_knows_wgpu_in_its_gpu_module_alone() {
    let mut wrong = Vec::new();
    let mut folders = vec![root().join("reduce/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the sources are here").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|n| n != "gpu") {
                    folders.push(path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source is text");
            if ["wgpu::", "bytemuck::", "pollster::"].iter().any(|name| text.contains(name)) {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Otherwise the names above would be out of date.
    let gpu = std::fs::read_to_string(root().join("reduce/src/gpu/device.rs")).expect("the module is here");
    assert!(gpu.contains("wgpu::") && gpu.contains("bytemuck::") && gpu.contains("pollster::"));
}

#[test]
fn colours_are_written_in_the_theme_alone() {
    let mut wrong = Vec::new();
    let mut folders = vec![root().join("app/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the sources are here").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.file_name().is_some_and(|n| n == "theme.rs") || path.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source is text");
            for (n, line) in text.lines().enumerate() {
                // A number as the first argument is a literal; a variable is a colour from elsewhere.
                let literal = ["Color32::from_rgb(", "Color32::from_rgba_unmultiplied(", "Color32::from_gray("]
                    .iter()
                    .filter_map(|call| line.split(call).nth(1))
                    .any(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()));
                if literal {
                    wrong.push(format!("{}:{}: {}", path.display(), n + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
