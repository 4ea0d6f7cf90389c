//! `cargo xtask api`: the public interface of the published libraries, as `docs/api` lists it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::{published, sh};

/// The variable that makes this program act as rustdoc, and names the real one.
const REAL_RUSTDOC: &str = "EVERSTREAM_XTASK_RUSTDOC";

/// Shows how the public interface has changed; `--update` writes it.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    match args {
        [] => {
            if let Verdict::OtherRust(why) = check()? {
                return Err(why.into());
            }
            println!("api: ok");
            Ok(())
        }
        [only] if only == "--update" => update(),
        _ => Err(sh::UsageError("`cargo xtask api` takes `--update` or nothing".into()).into()),
    }
}

pub(crate) enum Verdict {
    Same,
    /// Another Rust release describes the same interface differently.
    OtherRust(String),
}

/// Runs rustdoc, whose warnings are errors, and compares `docs/api` with the sources; an error if
/// they differ.
pub(crate) fn check() -> sh::Outcome<Verdict> {
    document()?;
    let now = release()?;
    let mut committed = Vec::new();
    for name in libraries()? {
        let file = file(&name);
        let text = fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}; write it with --update", file.display()))?;
        let (header, listing) = text.split_once('\n').unwrap_or_default();
        let then = header.trim_start_matches("# As Rust ");
        let then = then.split_whitespace().next().unwrap_or_default();
        if then != now {
            return Ok(Verdict::OtherRust(format!(
                "docs/api was listed by Rust {then}, and this is {now}: \
                 RUSTUP_TOOLCHAIN={then}.0 cargo xtask api"
            )));
        }
        committed.push((name, listing.to_owned()));
    }
    let mut differing = Vec::new();
    let mut bare = Vec::new();
    for (name, committed) in committed {
        let listed = list(&name)?;
        let documented = fs::read_to_string(json(&name)?)?;
        bare.extend(without_example(&documented, &listed)?);
        if committed != listed {
            print_difference(&name, &committed, &listed);
            differing.push(name);
        }
    }
    if !bare.is_empty() {
        return Err(format!("without an example: {}", bare.join(", ")).into());
    }
    if differing.is_empty() {
        return Ok(Verdict::Same);
    }
    Err(format!(
        "the public interface of {} differs from docs/api; if that is intended: \
         cargo xtask api --update, and a line in CHANGELOG.md",
        differing.join(", ")
    )
    .into())
}

fn update() -> sh::Outcome {
    let release = release()?;
    document()?;
    for name in libraries()? {
        let listed = list(&name)?;
        let header =
            format!("# As Rust {release} lists it, with all features: cargo xtask api --update");
        fs::write(file(&name), format!("{header}\n{listed}"))?;
        println!("{}", file(&name).display());
    }
    Ok(())
}

fn libraries() -> sh::Outcome<Vec<String>> {
    let crates = published::crates()?.into_iter();
    Ok(crates.filter(|it| it.library).map(|it| it.name).collect())
}

fn file(name: &str) -> PathBuf {
    sh::root().join("docs/api").join(format!("{name}.txt"))
}

fn rustdoc() -> OsString {
    std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into())
}

/// The compiler's release, such as 1.95: patch releases list the same.
fn release() -> sh::Outcome<String> {
    let said = sh::capture(Command::new(rustdoc()).arg("--version"))?;
    let version = said.split_whitespace().nth(1).unwrap_or_default();
    let parts: Vec<&str> = version.split('.').take(2).collect();
    Ok(parts.join("."))
}

/// Writes what rustdoc knows about all libraries, as JSON, into its folder. Warnings are errors.
fn document() -> sh::Outcome {
    // The whole workspace, so that the dependencies are those that `lint` has built for clippy.
    let mut document = sh::cargo(["doc", "--workspace", "--all-features", "--no-deps", "--lib"]);
    let flags = "-D warnings -Z unstable-options --output-format json";
    sh::run(with_unstable_rustdoc(document.arg("--locked"), flags)?)
}

/// Lets cargo run a stable rustdoc with unstable flags. The variable that permits them is set for rustdoc
/// alone: if cargo saw it, it would rebuild every dependency.
pub(crate) fn with_unstable_rustdoc<'a>(
    cargo: &'a mut Command,
    flags: &str,
) -> sh::Outcome<&'a mut Command> {
    cargo
        .env("RUSTDOCFLAGS", flags)
        .env(REAL_RUSTDOC, rustdoc())
        .env("RUSTDOC", std::env::current_exe()?);
    Ok(cargo)
}

/// A line for each item. Implementations that every type has are omitted.
fn list(name: &str) -> sh::Outcome<String> {
    let api = public_api::Builder::from_rustdoc_json(json(name)?)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

fn json(name: &str) -> sh::Outcome<PathBuf> {
    Ok(sh::target()?.join(format!("doc/{}.json", name.replace('-', "_"))))
}

/// The public types, traits and free functions whose documentation shows no code.
fn without_example(json: &str, listing: &str) -> sh::Outcome<Vec<String>> {
    const KINDS: [&str; 4] = ["struct", "enum", "trait", "function"];
    let json: Value = serde_json::from_str(json)?;
    let items = json["index"].as_object().ok_or("rustdoc lists nothing")?;
    let mut bare = Vec::new();
    for (id, item) in items {
        // Methods and fields have no path.
        let path = &json["paths"][id];
        let public = path["crate_id"] == 0 && item["visibility"] == "public";
        let kind = path["kind"].as_str().unwrap_or_default();
        let shown = item["docs"].as_str().is_some_and(|it| it.contains("```"));
        let name = item["name"].as_str().unwrap_or_default();
        // rustdoc's JSON also has hidden items, which the listing omits.
        let listed = listing.contains(&format!("::{name}"));
        if public && listed && KINDS.contains(&kind) && !shown {
            let file = item["span"]["filename"].as_str().unwrap_or_default();
            bare.push(format!("{name} ({file})"));
        }
    }
    Ok(bare)
}

/// Runs the real rustdoc, if cargo runs this program as rustdoc.
pub(crate) fn act_as_rustdoc() -> Option<ExitCode> {
    let rustdoc = std::env::var_os(REAL_RUSTDOC)?;
    let mut command = Command::new(rustdoc);
    command.args(std::env::args_os().skip(1));
    let status = command.env("RUSTC_BOOTSTRAP", "1").status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn print_difference(name: &str, committed: &str, listed: &str) {
    let before: BTreeSet<&str> = committed.lines().collect();
    let after: BTreeSet<&str> = listed.lines().collect();
    println!("{name}:");
    for gone in before.difference(&after) {
        println!("- {gone}");
    }
    for new in after.difference(&before) {
        println!("+ {new}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What DESIGN.md names: the common traits with the types of their methods, the types of HTTP and
    /// URLs in everstream-http, and reqwest's client.
    const FOREIGN: [&str; 16] = [
        "futures_core::stream::FusedStream",
        "futures_core::stream::Stream",
        "http::header::map::HeaderMap",
        "http::header::name::HeaderName",
        "http::header::value::HeaderValue",
        "http::method::Method",
        "http::status::StatusCode",
        "http::version::Version",
        "reqwest::async_impl::client::Client",
        "serde_core::de::Deserialize",
        "serde_core::de::Deserializer",
        "serde_core::ser::Serialize",
        "serde_core::ser::Serializer",
        "tokio::io::async_read::AsyncRead",
        "url::Url",
        "url::host::Host",
    ];

    const OURS: [&str; 10] = [
        "everstream",
        "everstream_check",
        "everstream_core",
        "everstream_http",
        "everstream_relay",
        "everstream_relay_nats",
        "everstream_testing",
        "alloc",
        "core",
        "std",
    ];

    /// The paths in a line that begin with a crate's name.
    fn paths(line: &str) -> impl Iterator<Item = &str> {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        words.filter(|word| {
            let (first, _) = word.split_once("::").unwrap_or_default();
            first.starts_with(|c: char| c.is_lowercase())
        })
    }

    #[test]
    fn a_public_type_or_function_without_an_example_is_reported() {
        let item = |name: &str, docs: &str, visibility: &str| {
            format!(
                r#""{name}": {{"visibility": "{visibility}", "name": "{name}", "docs": "{docs}",
                "span": {{"filename": "a.rs"}}}}"#
            )
        };
        let items = [
            item("Shown", "A type.\\n```\\nx\\n```", "public"),
            item("Bare", "A type.", "public"),
            item("Hidden", "A type.", "public"),
            item("Private", "A type.", "default"),
            item("function", "A function.", "public"),
            item("method", "A method.", "public"),
        ];
        let path = |(name, kind)| format!(r#""{name}": {{"crate_id": 0, "kind": "{kind}"}}"#);
        let types = ["Shown", "Bare", "Hidden", "Private"].map(|name| (name, "struct"));
        let paths = types
            .into_iter()
            .chain([("function", "function")])
            .map(path);
        let json = format!(
            r#"{{"index": {{{}}}, "paths": {{{}}}}}"#,
            items.join(","),
            paths.collect::<Vec<_>>().join(",")
        );
        let listing = "x::Shown\nx::Bare\nx::Private\nx::function()\nx::Shown::method()\n";
        let expected = ["Bare (a.rs)", "function (a.rs)"];
        assert_eq!(without_example(&json, listing).unwrap(), expected);
    }

    #[test]
    fn no_dependency_is_in_a_public_signature_but_those_that_the_design_names() {
        let mut found = BTreeSet::new();
        let mut lines = 0;
        for name in libraries().unwrap() {
            let listing = fs::read_to_string(file(&name)).unwrap();
            for line in listing.lines().filter(|line| !line.starts_with('#')) {
                lines += 1;
                let foreign =
                    |path: &&str| !OURS.iter().any(|it| path.split("::").next() == Some(it));
                found.extend(paths(line).filter(foreign).map(str::to_owned));
            }
        }
        assert!(lines > 500, "{lines}");
        // `impl Trait for &str` is listed with methods of `str`.
        found.remove("str::into_connect_strategy");
        found.remove("url::Url::into_connect_strategy");
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            FOREIGN
        );
    }

    /// Methods of common traits. Called on a value, an inherent method of the same name would be meant.
    const OF_TRAITS: [&str; 27] = [
        "add",
        "as_mut",
        "as_ref",
        "borrow",
        "borrow_mut",
        "clone",
        "clone_from",
        "cmp",
        "default",
        "deref",
        "deref_mut",
        "div",
        "drop",
        "eq",
        "extend",
        "from",
        "from_iter",
        "from_str",
        "hash",
        "index",
        "into_iter",
        "mul",
        "neg",
        "not",
        "partial_cmp",
        "sub",
        "to_owned",
    ];

    /// The names of the methods in a listing that belong to no trait.
    fn inherent_methods(listing: &str) -> Vec<&str> {
        let mut is_inherent = false;
        let mut found = Vec::new();
        for line in listing.lines() {
            if line.starts_with("impl") {
                is_inherent = !line.contains(" for ");
            } else if let Some((_, function)) = line.split_once("fn ").filter(|_| is_inherent) {
                let path = function.split('(').next().unwrap_or_default();
                let path = path.split_once("<'").map_or(path, |(path, _)| path);
                found.push(path.rsplit("::").next().unwrap_or_default());
            } else if line.starts_with("pub trait") {
                is_inherent = false;
            }
        }
        found
    }

    #[test]
    fn no_inherent_method_has_the_name_of_a_traits_method() {
        let mut methods = 0;
        for name in libraries().unwrap() {
            let listing = fs::read_to_string(file(&name)).unwrap();
            for method in inherent_methods(&listing) {
                assert!(!OF_TRAITS.contains(&method), "{method} in {name}");
                methods += 1;
            }
        }
        assert!(methods > 300, "{methods}");
    }

    #[test]
    fn structs_that_may_get_more_fields_can_be_created() {
        let mut structs = 0;
        for name in ["everstream-core", "everstream"] {
            let listing = fs::read_to_string(file(name)).unwrap();
            let declared = listing
                .lines()
                .filter_map(|line| line.strip_prefix("#[non_exhaustive] pub struct "));
            for path in declared {
                let default = format!("impl core::default::Default for {path}\n");
                let is_constructor = |line: &str| {
                    line.starts_with(&format!("pub fn {path}::"))
                        && !line.contains("self")
                        && line.ends_with(" -> Self")
                };
                assert!(
                    listing.contains(&default) || listing.lines().any(is_constructor),
                    "{path}"
                );
                structs += 1;
            }
        }
        assert!(structs > 6, "{structs}");
    }
}
