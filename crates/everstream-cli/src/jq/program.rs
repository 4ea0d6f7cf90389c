//! A program in jq's language: compiled, and run on one event.

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data};
use jaq_json::{Num, Val, read};

use crate::output::is_json;

type Data = data::JustLut<Val>;

/// The variables of a program besides the data.
const VARIABLES: [&str; 3] = ["$event", "$id", "$last_event_id"];

/// The maximum size of a result in bytes: twice the largest event. The result must not fill the
/// memory of the process that reads it either.
pub(crate) const LONGEST: usize = 128 << 20;

const TOO_LONG: &str = "a result is longer than 128 MiB";

/// jaq's versions write to a log and end the process.
const HALT_ERROR: &str = "def halt_error: error; def halt_error($code): error;";

/// The input of a program.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) event: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) last_event_id: Option<&'a str>,
    pub(super) data: &'a str,
}

pub(super) struct Program(Filter<Data>);

impl Program {
    /// Returns the program, or what is wrong with it.
    pub(super) fn compile(code: &str) -> Result<Program, String> {
        let ours = jaq_core::load::parse(HALT_ERROR, |parser| parser.defs()).unwrap_or_default();
        let defs = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .chain(ours);
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code, path: () })
            .map_err(not_loaded)?;
        let filter = Compiler::default()
            .with_funs(funs)
            .with_global_vars(VARIABLES)
            .compile(modules)
            .map_err(|errors| {
                let undefined: Vec<String> = errors
                    .into_iter()
                    .flat_map(|(_, errors)| errors)
                    .map(|(name, _)| format!("{name:?} isn't defined"))
                    .collect();
                undefined.join(", ")
            })?;
        Ok(Program(filter))
    }

    /// Returns the results as JSON, one by one, up to the first error.
    pub(super) fn run<'a>(
        &'a self,
        input: Input<'_>,
    ) -> impl Iterator<Item = Result<String, String>> + use<'a> {
        // The check limits the depth, which the parser doesn't.
        let parsed = match is_json(input.data) {
            true => read::parse_single(input.data.as_bytes()).ok(),
            false => None,
        };
        let value = parsed.unwrap_or_else(|| text(Some(input.data)));
        let variables = [
            text(Some(input.event)),
            text(input.id),
            text(input.last_event_id),
        ];
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new(variables));
        let mut results = self.0.id.run((context, value));
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let result = match results.next()? {
                Ok(value) => json(&value).map_err(str::to_owned),
                Err(exception) => match exception.get_err() {
                    Ok(error) => Err(match error.into_val() {
                        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
                        value => value.to_string(),
                    }),
                    Err(other) => match other.get_halt() {
                        Ok(0) | Err(_) => {
                            over = true;
                            return None;
                        }
                        Ok(code) => Err(format!("it halted with code {code}")),
                    },
                },
            };
            over = result.is_err();
            Some(result)
        })
    }
}

fn json(value: &Val) -> Result<String, &'static str> {
    let mut out = String::new();
    write_json(&mut out, value)?;
    match out.len() > LONGEST {
        true => Err(TOO_LONG),
        false => Ok(out),
    }
}

/// jaq writes values that JSON lacks as something that isn't JSON. Numbers become what jq makes of
/// them; anything else is an error.
fn write_json(out: &mut String, value: &Val) -> Result<(), &'static str> {
    match value {
        Val::Num(Num::Float(number)) if number.is_nan() => out.push_str("null"),
        Val::Num(Num::Float(number)) if number.is_infinite() => {
            out.push_str(match number.is_sign_positive() {
                true => "1.7976931348623157e308",
                false => "-1.7976931348623157e308",
            });
        }
        Val::Null | Val::Bool(_) | Val::Num(_) => out.push_str(&value.to_string()),
        Val::TStr(text) => write_text(out, text)?,
        Val::BStr(_) => return Err("a byte string can't be written as JSON"),
        Val::Arr(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(out, value)?;
            }
            out.push(']');
        }
        Val::Obj(members) => {
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                let Val::TStr(key) = key else {
                    return Err("an object with a non-string key can't be written as JSON");
                };
                write_text(out, key)?;
                out.push(':');
                write_json(out, value)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_text(out: &mut String, text: &[u8]) -> Result<(), &'static str> {
    if out.len() + text.len() > LONGEST {
        return Err(TOO_LONG);
    }
    let text = String::from_utf8_lossy(text);
    // Text can always be written as JSON.
    out.push_str(&serde_json::to_string(&text).unwrap_or_default());
    Ok(())
}

fn text(text: Option<&str>) -> Val {
    text.map_or(Val::Null, |text| Val::from(text.to_owned()))
}

fn not_loaded(errors: jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::Error;
    let near = |rest: &str| match rest.chars().take(20).collect::<String>() {
        rest if rest.is_empty() => "at its end".to_owned(),
        rest => format!("at {rest:?}"),
    };
    let mut all = Vec::new();
    for (_, error) in errors {
        match error {
            Error::Io(errors) => {
                all.extend(
                    errors
                        .into_iter()
                        .map(|(path, why)| format!("{path:?}: {why}")),
                );
            }
            Error::Lex(errors) => {
                all.extend(errors.into_iter().map(|(expected, rest)| {
                    format!("{} is missing {}", expected.as_str(), near(rest))
                }));
            }
            Error::Parse(errors) => {
                all.extend(errors.into_iter().map(|(expected, rest)| {
                    format!("{} is missing {}", expected.as_str(), near(rest))
                }));
            }
        }
    }
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(program: &str, data: &str) -> Vec<Result<String, String>> {
        let input = Input {
            event: "price",
            id: Some("41"),
            last_event_id: Some("41"),
            data,
        };
        Program::compile(program).unwrap().run(input).collect()
    }

    #[test]
    fn results_are_returned_one_by_one() {
        let data = r#"{"b": [1, 2.50, "x"], "a": null}"#;
        let ok = |results: &[&str]| {
            results
                .iter()
                .map(|r| Ok((*r).to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(on(".b[]", data), ok(&["1", "2.50", "\"x\""]));
        assert_eq!(on("keys", data), ok(&[r#"["a","b"]"#]));
        assert_eq!(on("empty", data), ok(&[]));
        assert_eq!(on("select(.a != null)", data), ok(&[]));
        assert_eq!(
            on(".b | map(tostring) | join(\"-\")", data),
            ok(&["\"1-2.50-x\""])
        );
        assert_eq!(
            on("test(\"D.NE\")", "[DONE]"),
            ok(&["true"]),
            "text that isn't JSON"
        );
        assert_eq!(
            on("[$event, $id, $last_event_id]", data),
            ok(&[r#"["price","41","41"]"#])
        );
    }

    #[test]
    fn an_error_ends_the_results() {
        let results = on("1, error(\"no\"), 2", "{}");
        assert_eq!(results.len(), 2, "{results:?}");
        assert!(results[1].is_err());
    }

    #[test]
    fn invalid_programs_are_explained() {
        for (program, part) in [
            ("nosuch", "nosuch"),
            (".a |", "at its end"),
            ("{", "missing"),
            ("$x", "$x"),
        ] {
            let problem = Program::compile(program).err().unwrap();
            assert!(problem.contains(part), "{problem}");
        }
    }

    /// Otherwise it would overflow the stack of the process.
    #[test]
    fn deeply_nested_data_is_a_string() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(on("type", &deep), [Ok("\"string\"".to_owned())]);
    }

    /// `NaN` and `b"\xff"` were in the output, which no JSON reader accepts.
    #[test]
    fn a_result_is_json_or_an_error() {
        let largest = "1.7976931348623157e308";
        for (program, json) in [
            ("nan", "null"),
            ("infinite", largest),
            ("[-infinite]", &*format!("[-{largest}]")),
            (r#""/w==" | @base64d"#, "\"\u{fffd}\""),
            (
                r#"{a: "\u0000\n\u007f\"", b: 2.50}"#,
                "{\"a\":\"\\u0000\\n\x7f\\\"\",\"b\":2.50}",
            ),
            (
                "[1e1000, -0, 123456789012345678901234567890]",
                "[1e1000,0,123456789012345678901234567890]",
            ),
        ] {
            let results = on(program, "0");
            assert_eq!(results, [Ok(json.to_owned())], "{program}");
            assert!(is_json(json), "{json}");
        }
        for program in [
            r#""x" | tobytes"#,
            "[1, {(1 | tostring): [255 | tobytes]}]",
            "{(1): 2}",
        ] {
            let results = on(program, "0");
            let problem = results[0].as_ref().unwrap_err();
            assert!(problem.contains("can't be written as JSON"), "{problem}");
        }
    }

    /// It ended the process, with an exit code that means something else.
    #[test]
    fn halt_ends_the_program_for_its_event() {
        assert_eq!(on("1, halt, 2", "0"), [Ok("1".to_owned())]);
        let halted = |program| on(program, "0").pop().unwrap().unwrap_err();
        assert_eq!(halted(r#""why" | halt_error"#), "why");
        assert_eq!(halted(r#""why" | halt_error(3)"#), "why");
        assert_eq!(halted("halt(3), 2"), "it halted with code 3");
    }
}
