//! The published crates, from cargo's metadata.

use serde_json::Value;

use crate::sh;

/// The oldest Rust for each crate of the workspace, including this one.
pub(crate) const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// Crates whose dependencies need a newer Rust, which each of them states.
pub(crate) const NEWER_RUST: &[&str] = &["everstream-relay-nats"];

/// A package of this workspace that is published to a registry.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The oldest Rust that builds it.
    pub(crate) rust_version: String,
    /// It has a public interface, because others can depend on it.
    pub(crate) library: bool,
}

impl Crate {
    /// Where its archive unpacks to.
    pub(crate) fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

pub(crate) fn crates() -> sh::Outcome<Vec<Crate>> {
    parse(&metadata()?)
}

fn metadata() -> sh::Outcome<String> {
    let metadata = sh::cargo(["metadata", "--no-deps", "--locked", "--format-version", "1"]);
    sh::capture(&mut { metadata })
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
        // Also for unpublished crates: the workspace is built with one toolchain.
        let stated = package["rust_version"].as_str();
        if !NEWER_RUST.contains(&&*name) && stated != Some(RUST_VERSION) {
            return Err(format!("{name} doesn't state rust-version {RUST_VERSION}").into());
        }
        // `publish = false` is an empty list of registries here.
        if package["publish"].is_array() {
            continue;
        }
        let targets = package["targets"].as_array().ok_or("no targets")?;
        crates.push(Crate {
            version: text(&package["version"], "version")?,
            rust_version: text(&package["rust_version"], "rust-version")?,
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
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_published_crates_are_known() {
        let crates = crates().unwrap();
        let names: Vec<&str> = crates.iter().map(|it| it.name.as_str()).collect();
        let expected = [
            "everstream",
            "everstream-check",
            "everstream-cli",
            "everstream-core",
            "everstream-http",
            "everstream-relay",
            "everstream-relay-nats",
            "everstream-testing",
        ];
        assert_eq!(names, expected);
        assert!(crates[0].library && !crates[2].library);
    }

    #[test]
    fn a_package_that_does_not_state_its_oldest_rust_is_an_error() {
        let metadata = r#"{"packages": [{"name": "new", "rust_version": null}]}"#;
        let error = parse(metadata).err().unwrap().to_string();
        assert_eq!(
            error,
            format!("new doesn't state rust-version {RUST_VERSION}")
        );
    }

    /// Otherwise `minimal-versions` can't resolve the oldest version of each dependency.
    #[test]
    fn published_crates_agree_on_the_oldest_version_of_a_dependency() {
        let metadata: Value = serde_json::from_str(&metadata().unwrap()).unwrap();
        let packages = metadata["packages"].as_array().unwrap().iter();
        let mut versions = HashMap::new();
        for package in packages.filter(|it| it["publish"].is_null()) {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            // Dependencies of tests aren't resolved there.
            for dependency in dependencies.filter(|it| it["kind"] != "dev") {
                let (name, version) = (&dependency["name"], &dependency["req"]);
                let first = versions.entry(name).or_insert((version, &package["name"]));
                assert_eq!(
                    version, first.0,
                    "{name} of {} and {}",
                    package["name"], first.1
                );
            }
        }
        assert!(versions.len() > 10);
    }
}
