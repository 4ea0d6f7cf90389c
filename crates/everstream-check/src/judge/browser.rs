//! What browsers allow.

use super::{Judged, Setting, fail, pass, skip, skip_without, warn};
use crate::observed::{Observed, Preflight};

const CORS: &str = "Fetch, CORS check";

pub(crate) fn cors(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    if let Some(status) = o.origin_refused {
        return origin_refused(o, status, response.status);
    }
    if o.same_origin {
        return pass(format!("not needed: {} is the URL's own origin", o.origin));
    }
    let allowed: Vec<&str> = response
        .headers
        .get_all("access-control-allow-origin")
        .collect();
    let credentials = response
        .header("access-control-allow-credentials")
        .is_some_and(|value| value.trim() == "true");
    let origin = &*o.origin;
    let (first, shown) = match &allowed[..] {
        [] if o.origin_chosen => {
            return fail(format!("no Access-Control-Allow-Origin for {origin}")).advise(
                "Pages of that origin can't read the stream.",
                "Send Access-Control-Allow-Origin with that origin, and \
                 Access-Control-Allow-Credentials: true if it needs cookies.",
                CORS,
            );
        }
        [] if !response.repeatable => {
            return skip_without(
                Setting::Origin,
                "no Access-Control-Allow-Origin; the request had no Origin",
            );
        }
        [] => {
            return skip_without(
                Setting::Origin,
                format!("no Access-Control-Allow-Origin for {origin}, which is only an example"),
            );
        }
        [first, ..] => (
            *first,
            format!("Access-Control-Allow-Origin: {}", allowed.join(", ")),
        ),
    };
    if allowed.len() > 1 || first.contains([',', ' ']) {
        return fail(shown).advise(
            "Browsers accept a single origin or *, and treat anything else as a refusal.",
            "Send back the request's Origin if it is allowed, and Vary: Origin.",
            CORS,
        );
    }
    match first {
        "*" if credentials => warn(format!("{shown}, with Access-Control-Allow-Credentials"))
            .advise(
                "Browsers refuse * for requests with cookies (withCredentials).",
                "Send back the request's Origin if it is allowed, and Vary: Origin.",
                CORS,
            ),
        "*" => pass(format!("{shown}, without cookies")),
        _ if first == origin && credentials && !o.origin_chosen => warn(format!(
            "{shown}, with Access-Control-Allow-Credentials: true"
        ))
        .advise(
            "The server allows every origin: any page can read the stream of a logged-in user.",
            "Compare Origin with a list before you send it back.",
            CORS,
        ),
        _ if first == origin => pass(shown),
        _ if o.origin_chosen => fail(format!("{shown}, not {origin}")).advise(
            "Pages of that origin can't read the stream.",
            "Send back the request's Origin if it is allowed, and Vary: Origin.",
            CORS,
        ),
        _ => pass(shown),
    }
}

/// Only requests without this origin get the stream.
fn origin_refused(o: &Observed, status: u16, without: u16) -> Judged {
    let origin = &o.origin;
    let shown = format!("status {status} with Origin: {origin}, {without} without Origin");
    if !o.origin_chosen {
        return skip_without(
            Setting::Origin,
            format!("{shown}; that origin is only an example"),
        );
    }
    fail(shown).advise(
        "Pages of that origin can't read the stream.",
        "Let the server accept that origin, and send Access-Control-Allow-Origin with it.",
        CORS,
    )
}

pub(crate) fn preflight(o: &Observed) -> Judged {
    let (_, _) = o.streamed()?;
    if o.same_origin {
        return skip("not needed: the origin is the URL's own");
    }
    let Some(preflight) = &o.preflight else {
        if let (true, Some(cut)) = (o.preflight_left_out, &o.cut) {
            return skip(&**cut);
        }
        return skip("not needed for this request");
    };
    let asked = format!("OPTIONS for {}", subject(preflight));
    let Some(problem) = refused(preflight, &o.origin) else {
        return pass(format!("{asked} is allowed"));
    };
    let shown = format!("{asked}: {problem}");
    if !o.origin_chosen {
        return skip_without(
            Setting::Origin,
            format!("{shown}; {} is only an example", o.origin),
        );
    }
    fail(shown).advise(
        "Before a script's fetch may send this request to another origin, the browser sends OPTIONS \
         without credentials. With this response it doesn't send the request.",
        "Answer OPTIONS without requiring credentials, with a 2xx status and \
         Access-Control-Allow-Origin, -Methods and -Headers.",
        "Fetch, CORS-preflight fetch",
    )
}

fn subject(preflight: &Preflight) -> String {
    match preflight.wanted.is_empty() {
        true => preflight.method.clone(),
        false => format!("{} with {}", preflight.method, preflight.wanted.join(", ")),
    }
}

/// Why a browser wouldn't send the request.
fn refused(preflight: &Preflight, origin: &str) -> Option<String> {
    if let Some(error) = &preflight.error {
        return Some(error.clone());
    }
    if !(200..300).contains(&preflight.status) {
        return Some(format!("status {}", preflight.status));
    }
    let allowed = preflight.headers.get("access-control-allow-origin");
    if allowed != Some("*") && allowed != Some(origin) {
        return Some(match allowed {
            None => "no Access-Control-Allow-Origin".to_owned(),
            Some(other) => format!("Access-Control-Allow-Origin: {other}"),
        });
    }
    let lists = |header: &str, wanted: &str, star: bool| {
        preflight
            .headers
            .get_all(header)
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|it| it.eq_ignore_ascii_case(wanted) || (it == "*" && star))
    };
    let simple = matches!(&*preflight.method, "GET" | "HEAD" | "POST");
    if !simple && !lists("access-control-allow-methods", &preflight.method, true) {
        return Some(format!(
            "{} isn't in Access-Control-Allow-Methods",
            preflight.method
        ));
    }
    // * doesn't include Authorization (Fetch, CORS-preflight fetch).
    let missing = preflight.wanted.iter().find(|name| {
        !lists(
            "access-control-allow-headers",
            name,
            *name != "authorization",
        )
    });
    missing.map(|name| format!("{name} isn't in Access-Control-Allow-Headers"))
}
