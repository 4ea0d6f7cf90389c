//! The archives for the registry, and a program that depends on them.

use std::fs;
use std::process::Command;

use super::Context;
use crate::{package, published, sh};

const PROGRAM: &str = r#"use everstream::blocking::SseClient;
use everstream_testing::{Reply, Server};

fn main() -> Result<(), everstream::Error> {
    let server = Server::start();
    server.enqueue(Reply::stream().event("hello"));
    let mut client = SseClient::new(&*server.url("/"))?;
    if let Some(event) = client.events().next() {
        println!("{}", event?.data());
    }
    Ok(())
}
"#;

/// `cargo xtask package` checks their contents, and builds the command from its archive too.
pub(super) fn run(context: &Context) -> sh::Outcome {
    let crates = published::crates()?;
    sh::run(package::pack(&crates).arg("--no-verify"))?;
    let folder = context.folder.join("program");
    sh::empty_folder(&folder)?;
    for it in &crates {
        let name = format!("{}.crate", it.folder());
        let artifact = context.artifacts.join(&name);
        fs::copy(sh::target()?.join("package").join(name), &artifact)?;
        let mut unpack = Command::new("tar");
        unpack.arg("-C").arg(&folder).arg("-xzf").arg(artifact);
        sh::capture(&mut unpack)?;
    }
    let mut manifest = String::from(
        "[workspace]\n\n[package]\nname = \"program\"\nedition = \"2024\"\n\n[dependencies]\n",
    );
    for it in crates.iter().filter(|it| it.library) {
        manifest.push_str(&format!("{} = \"={}\"\n", it.name, it.version));
    }
    package::write_manifest(&folder, &manifest, &crates)?;
    fs::create_dir(folder.join("src"))?;
    fs::write(folder.join("src/main.rs"), PROGRAM)?;
    let mut program = sh::cargo(["run", "--quiet"]);
    program
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", sh::target()?);
    match sh::capture(&mut program)?.trim() {
        "hello" => {
            println!("crates: a program that depends on them follows a stream");
            Ok(())
        }
        said => Err(format!("a program that depends on the crates said {said:?}").into()),
    }
}
