//! `cargo xtask soak`: thousands of streams through every kind of break, each event accounted for.

use std::path::PathBuf;
use std::process::Command;

use crate::sh;

const USAGE: &str =
    "usage: cargo xtask soak [--minutes N] [--streams M] [--seed S] [--svg PATH] [-- ARGUMENT...]

  --minutes N      how long (20)
  --streams M      how many streams at once (2000)
  --seed S         repeats the choices of an earlier run (random)
  --svg PATH       where to write the plot (target/soak.svg)
  -- ARGUMENT...   for everstream-soak itself; `-- --help` lists what it takes

  Fails if an event was lost, duplicated, out of order or corrupted, or if
  memory, descriptors or threads grew.
";

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let Some(wanted) = Wanted::parse(args)? else {
        print!("{USAGE}");
        return Ok(());
    };
    let package = ["build", "--release", "--package", "everstream-soak"];
    sh::run(&mut sh::cargo(package))?;
    let program = sh::target()?.join("release").join("everstream-soak");
    let mut command = Command::new(program);
    command.args(wanted.passed_on);
    command.arg("--svg").arg(wanted.svg);
    sh::run(&mut command)
}

struct Wanted {
    svg: PathBuf,
    passed_on: Vec<String>,
}

impl Wanted {
    /// `None`: only the usage is wanted.
    fn parse(args: &[String]) -> Result<Option<Wanted>, sh::UsageError> {
        let mut svg = sh::root().join("target").join("soak.svg");
        let mut passed_on = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = |what| match args.next() {
                Some(value) => Ok(value.clone()),
                None => Err(sh::UsageError(format!("{arg} needs {what}\n\n{USAGE}"))),
            };
            match arg.as_str() {
                "--minutes" => {
                    let minutes = value("a number of minutes")?;
                    let valid = |it: f64| it.is_finite() && it > 0.0;
                    if !minutes.parse().is_ok_and(valid) {
                        return Err(wrong(arg, &minutes, "a number above 0"));
                    }
                    passed_on.extend([arg.clone(), minutes]);
                }
                "--streams" | "--seed" => {
                    let number = value("a number")?;
                    let least = u64::from(arg == "--streams");
                    if !number.parse().is_ok_and(|it: u64| it >= least) {
                        return Err(wrong(arg, &number, &format!("a number from {least} on")));
                    }
                    passed_on.extend([arg.clone(), number]);
                }
                "--svg" => svg = PathBuf::from(value("a path")?),
                "--" => {
                    passed_on.extend(args.cloned());
                    break;
                }
                "-h" | "--help" => return Ok(None),
                other => {
                    let error = format!("no argument `{other}`\n\n{USAGE}");
                    return Err(sh::UsageError(error));
                }
            }
        }
        Ok(Some(Wanted { svg, passed_on }))
    }
}

fn wrong(arg: &str, value: &str, needed: &str) -> sh::UsageError {
    sh::UsageError(format!("{arg} {value}: {needed} is needed\n\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Wanted>, sh::UsageError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Wanted::parse(&args)
    }

    #[test]
    fn what_is_wanted_is_passed_on_and_the_plot_has_a_place() {
        let wanted = parse(&[
            "--minutes",
            "0.5",
            "--streams",
            "10",
            "--",
            "--blocking",
            "2",
        ]);
        let wanted = wanted.unwrap().unwrap();
        let expected = ["--minutes", "0.5", "--streams", "10", "--blocking", "2"];
        assert_eq!(wanted.passed_on, expected);
        assert!(wanted.svg.ends_with("soak.svg"));
        let elsewhere = parse(&["--svg", "a.svg"]).unwrap().unwrap();
        assert_eq!(elsewhere.svg, PathBuf::from("a.svg"));
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for args in [
            &["--minutes"][..],
            &["--minutes", "soon"],
            &["--minutes", "0"],
            &["--streams", "0"],
            &["--seed", "-1"],
            &["--stream", "1"],
        ] {
            let error = parse(args).err().unwrap();
            assert!(error.0.contains(args[0]), "{error}");
        }
        assert!(parse(&["--help"]).unwrap().is_none());
    }
}
