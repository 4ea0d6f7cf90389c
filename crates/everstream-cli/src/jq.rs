//! `--jq`: a program in jq's language, run on the data of each event.

use everstream::Event;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::{Val, read};

use crate::output::is_json;
use crate::report::Problem;

type Data = data::JustLut<Val>;

/// What a program knows of its event besides the data.
const VARIABLES: [&str; 3] = ["$event", "$id", "$last_event_id"];

pub(crate) struct Jq(Filter<Data>);

impl Jq {
    pub(crate) fn compile(program: &str) -> Result<Jq, Problem> {
        let problem = |what: String| {
            Problem::new(format!("--jq {program:?} can't be used: {what}")).hint(
                "its input is the data of an event; it is tried out best with \
                 jq itself: echo '{\"a\": 1}' | jq '.a'",
            )
        };
        let defs = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let arena = Arena::default();
        let file = File {
            code: program,
            path: (),
        };
        let modules = Loader::new(defs)
            .load(&arena, file)
            .map_err(|errors| problem(not_loaded(errors)))?;
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
                problem(undefined.join(", "))
            })?;
        Ok(Jq(filter))
    }

    /// The results as JSON, one by one, up to the first error.
    pub(crate) fn run<'a>(
        &'a self,
        event: &Event,
    ) -> impl Iterator<Item = Result<String, String>> + use<'a> {
        // The check bounds how deep it is nested, which the parser doesn't.
        let parsed = match is_json(event.data()) {
            true => read::parse_single(event.data().as_bytes()).ok(),
            false => None,
        };
        let input = parsed.unwrap_or_else(|| text(Some(event.data())));
        let variables = [
            text(Some(event.event())),
            text(event.id()),
            text(event.last_event_id()),
        ];
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new(variables));
        let mut results = self.0.id.run((context, input)).map(unwrap_valr);
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let result = results.next()?;
            failed = result.is_err();
            Some(match result {
                Ok(value) => Ok(value.to_string()),
                Err(error) => Err(error.to_string()),
            })
        })
    }
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

    fn run(program: &str, event: &Event) -> Vec<Result<String, String>> {
        Jq::compile(program).unwrap().run(event).collect()
    }

    fn on(program: &str, data: &str) -> Vec<Result<String, String>> {
        run(program, &Event::new("price", data, Some("41")))
    }

    #[test]
    fn results_are_json_one_by_one() {
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
    fn an_error_is_the_last_result() {
        let results = on("1, error(\"no\"), 2", "{}");
        assert_eq!(results.len(), 2, "{results:?}");
        assert!(results[1].is_err());
    }

    #[test]
    fn a_program_that_can_not_be_used_is_explained() {
        for (program, part) in [
            ("nosuch", "nosuch"),
            (".a |", "at its end"),
            ("{", "missing"),
            ("$x", "$x"),
        ] {
            let problem = format!("{:?}", Jq::compile(program).err().unwrap());
            assert!(problem.contains(part), "{problem}");
        }
    }

    /// It would end the process by overflowing its stack.
    #[test]
    fn deeply_nested_data_is_text() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(on("type", &deep), [Ok("\"string\"".to_owned())]);
    }
}
