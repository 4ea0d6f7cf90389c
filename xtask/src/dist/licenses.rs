//! The license texts of the crates in a program, which most licenses require next to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sh;

/// What the names of such files begin with, in both spellings.
const NAMES: [&str; 4] = ["LICEN", "COPYING", "NOTICE", "COPYRIGHT"];

/// Writes those of the package in `folder`, built with `features`.
pub(super) fn write(triple: &str, folder: &Path, features: &str, file: &Path) -> sh::Outcome {
    let mut metadata = sh::cargo(["metadata", "--locked", "--format-version", "1"]);
    metadata.args(["--filter-platform", triple, "--features", features]);
    metadata.current_dir(folder);
    let metadata: Value = serde_json::from_str(&sh::capture(&mut metadata)?)?;
    // Many crates have the same text: each is written once, under the crates that have it.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in linked(&metadata, &folder.join("Cargo.toml"))? {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let name = format!("{} {}", text("name"), text("version"));
        list.push_str(&format!("{name}: {}\n", text("license")));
        let manifest = Path::new(text("manifest_path"));
        for text in texts_of(manifest.parent().unwrap_or(manifest))? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut out = format!("Everstream contains these crates:\n\n{list}");
    for (text, crates) in texts {
        let crates = crates.into_iter().collect::<Vec<_>>().join(", ");
        out.push_str(&format!(
            "\n{}\n{crates}\n\n{}\n",
            "-".repeat(80),
            text.trim_end()
        ));
    }
    Ok(fs::write(file, out)?)
}

/// The packages from registries that are linked into a program: no tools, and nothing of tests.
fn linked<'a>(metadata: &'a Value, manifest: &Path) -> sh::Outcome<Vec<&'a Value>> {
    let array = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let nodes = array(&metadata["resolve"]["nodes"]);
    let nodes: HashMap<&str, &Value> = nodes
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let program = packages
        .iter()
        .find(|it| it["manifest_path"].as_str().map(Path::new) == Some(manifest));
    let program = program.and_then(|it| it["id"].as_str());
    let program = program.ok_or_else(|| format!("{} is no package", manifest.display()))?;
    let (mut found, mut pending) = (BTreeSet::new(), vec![program.to_owned()]);
    while let Some(id) = pending.pop() {
        for dependency in array(&nodes.get(&*id).ok_or("an unknown package")?["deps"]) {
            // Without a kind, it is one of the program.
            let normal = array(&dependency["dep_kinds"])
                .iter()
                .any(|it| it["kind"].is_null());
            let id = dependency["pkg"].as_str().unwrap_or_default().to_owned();
            if normal && found.insert(id.clone()) {
                pending.push(id);
            }
        }
    }
    let linked = |it: &&Value| it["id"].as_str().is_some_and(|id| found.contains(id));
    let mut linked: Vec<&Value> = packages.iter().filter(linked).collect();
    linked.retain(|it| !it["source"].is_null());
    Ok(linked)
}

fn texts_of(folder: &Path) -> sh::Outcome<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_uppercase();
        if path.is_file() && NAMES.iter().any(|it| name.starts_with(it)) {
            texts.push(String::from_utf8_lossy(&fs::read(path)?).replace('\r', ""));
        }
    }
    Ok(texts)
}
