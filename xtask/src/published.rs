//! The crates that are published, as cargo knows them.

use std::path::PathBuf;

use serde_json::Value;

use crate::sh;

/// A package of this workspace that may go to a registry.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The oldest Rust that it says it builds with.
    pub(crate) rust_version: String,
    pub(crate) folder: PathBuf,
    /// Without `default`, and without those that aren't for use by themselves (`__…`).
    pub(crate) features: Vec<String>,
    /// Others can depend on it, so that it has a public interface.
    pub(crate) library: bool,
}

pub(crate) fn crates() -> sh::Outcome<Vec<Crate>> {
    let metadata = sh::cargo(["metadata", "--no-deps", "--locked", "--format-version", "1"]);
    parse(&sh::capture(&mut { metadata })?)
}

fn parse(metadata: &str) -> sh::Outcome<Vec<Crate>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let text = |value: &Value, what: &str| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("a package doesn't state its {what}")),
    };
    let mut crates = Vec::new();
    for package in packages {
        let name = text(&package["name"], "name")?;
        // Also of what isn't published: whoever builds the workspace has one toolchain.
        let rust_version = text(&package["rust_version"], "rust-version")
            .map_err(|error| format!("{name}: {error}"))?;
        // An empty list of registries is what `publish = false` becomes.
        if package["publish"].is_array() {
            continue;
        }
        let features = package["features"].as_object().ok_or("no features")?;
        let of_use = |name: &&String| *name != "default" && !name.starts_with("__");
        let targets = package["targets"].as_array().ok_or("no targets")?;
        let manifest = PathBuf::from(text(&package["manifest_path"], "manifest")?);
        crates.push(Crate {
            version: text(&package["version"], "version")?,
            rust_version,
            folder: manifest.parent().ok_or("no folder")?.to_path_buf(),
            features: features.keys().filter(of_use).cloned().collect(),
            library: targets.iter().any(|target| target["kind"][0] == "lib"),
            name,
        });
    }
    crates.sort_by(|a: &Crate, b| a.name.cmp(&b.name));
    if crates.is_empty() {
        return Err("no package of this workspace is published".into());
    }
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_known_with_the_features_of_its_manifest() {
        let crates = crates().unwrap();
        let names: Vec<&str> = crates.iter().map(|it| it.name.as_str()).collect();
        let expected = [
            "everstream",
            "everstream-cli",
            "everstream-core",
            "everstream-testing",
        ];
        assert_eq!(names, expected);
        for it in &crates {
            let manifest = std::fs::read_to_string(it.folder.join("Cargo.toml")).unwrap();
            let lines: Vec<&str> = manifest.lines().collect();
            for feature in &it.features {
                let start = format!("{feature} = ");
                assert!(
                    lines.iter().any(|line| line.starts_with(&start)),
                    "{feature}"
                );
            }
        }
        assert!(crates[0].features.len() > 10, "{:?}", crates[0].features);
        assert!(crates[0].library && !crates[1].library);
    }

    #[test]
    fn a_package_that_does_not_state_its_oldest_rust_is_an_error() {
        let metadata = r#"{"packages": [{"name": "new", "rust_version": null}]}"#;
        let error = parse(metadata).err().unwrap().to_string();
        assert_eq!(error, "new: a package doesn't state its rust-version");
    }
}
