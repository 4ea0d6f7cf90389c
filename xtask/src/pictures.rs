//! `cargo xtask pictures`: takes the pictures of the terminal in docs/pictures. `--check` measures the
//! pictures and charts in a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{apt, sh};

/// Chromium, and the font for measuring columns.
const PACKAGES: &[(&str, &str)] = &[
    (CHROMIUM, "chromium"),
    (
        "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
        "fonts-dejavu-core",
    ),
];

const CHROMIUM: &str = "/usr/bin/chromium";

/// No network, no user profile and no dialogs.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--dump-dom",
];

/// A script that measures the picture that contains it.
const SCRIPT: &str = include_str!("pictures/check.js");

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    match args {
        [] => take(),
        [check] if check == "--check" => check_all(),
        [other, ..] => {
            let text = format!("`cargo xtask pictures` takes only `--check`, not `{other}`");
            Err(sh::UsageError(text).into())
        }
    }
}

/// A test takes the pictures.
fn take() -> sh::Outcome {
    let test = ["test", "--package", "everstream-cli", "--test", "*"];
    let mut take = sh::cargo(test);
    take.args(["--", "every_scene_has_its_picture"]);
    sh::run(take.env("UPDATE_PICTURES", "1"))
}

fn check_all() -> sh::Outcome {
    apt::install(PACKAGES, &sh::target()?.join("apt.log"))?;
    let docs = sh::root().join("docs");
    let mut failed = false;
    for (folder, is_terminal) in [
        (docs.join("pictures"), true),
        (docs.join("bench"), false),
        (docs, false),
    ] {
        for picture in svgs(&folder)? {
            let name = picture.strip_prefix(sh::root()).unwrap_or(&picture);
            let report = measure(&picture, is_terminal)?;
            let (texts, problems) = report.split_once('\n').unwrap_or((&report, ""));
            match problems {
                "" => println!("{}: {texts}", name.display()),
                problems => println!("{}: {texts}, and\n{problems}", name.display()),
            }
            failed |= !problems.is_empty();
        }
    }
    match failed {
        true => Err(sh::Reported.into()),
        false => Ok(()),
    }
}

fn svgs(folder: &Path) -> sh::Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The number of texts in the picture, and a line for each problem.
fn measure(picture: &Path, is_terminal: bool) -> sh::Outcome<String> {
    let svg = fs::read_to_string(picture)?;
    let folder = sh::target()?.join("pictures");
    let (copy, profile) = (folder.join("measured.svg"), folder.join("profile"));
    if profile.exists() {
        fs::remove_dir_all(&profile)?;
    }
    fs::create_dir_all(&profile)?;
    fs::write(&copy, with_script(&svg, is_terminal))?;
    let mut chromium = Command::new(CHROMIUM);
    chromium
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", copy.display()));
    let dom = sh::capture(&mut chromium)?;
    // A picture that isn't valid XML has no report, but an error message of the browser.
    report(&dom).ok_or_else(|| format!("{} wasn't measured: {dom}", picture.display()).into())
}

fn with_script(svg: &str, is_terminal: bool) -> String {
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    let (content, end) = svg.split_at(end);
    let script = format!("const isTerminal = {is_terminal};\n{SCRIPT}");
    format!("{content}<script><![CDATA[\n{script}]]></script>{end}")
}

/// The report of the script.
fn report(dom: &str) -> Option<String> {
    let (_, report) = dom.split_once("<report>")?;
    let (report, _) = report.split_once("</report>")?;
    let report = report.replace("&lt;", "<").replace("&gt;", ">");
    Some(report.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_taken_from_the_page() {
        let dom = "<svg a=\"b\"><report>2 texts\n\"&lt;a &amp;amp; b\": it leaves</report></svg>";
        let expected = "2 texts\n\"<a &amp; b\": it leaves";
        assert_eq!(report(dom).as_deref(), Some(expected));
        assert_eq!(report("<svg><parsererror>no</parsererror></svg>"), None);
    }

    #[test]
    fn the_script_is_at_the_end_of_the_picture() {
        let copy = with_script("<svg><g/></svg>\n", true);
        assert!(copy.starts_with("<svg><g/><script><![CDATA[\nconst isTerminal = true;"));
        assert!(copy.ends_with("]]></script></svg>\n"));
        assert!(!SCRIPT.contains("]]>"));
    }
}
