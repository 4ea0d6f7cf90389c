//! What browsers allow.

use super::{Judged, fail, pass, skip, warn};
use crate::observed::{Observed, Preflight};

const CORS: &str = "Fetch, CORS check";

pub(crate) fn cors(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    if let Some(status) = o.origin_refused {
        return origin_refused(o, status, response.status);
    }
    if o.same_origin {
        return pass(format!(
            "{} is the URL's own origin: it needs none",
            o.origin
        ));
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
                "Send Access-Control-Allow-Origin with that origin; Access-Control-Allow-Credentials: \
                 true if it needs cookies.",
                CORS,
            );
        }
        [] => {
            return skip(format!(
                "no Access-Control-Allow-Origin for {origin}, a stranger; --origin asks for yours"
            ));
        }
        [first, ..] => (
            *first,
            format!("Access-Control-Allow-Origin: {}", allowed.join(", ")),
        ),
    };
    if allowed.len() > 1 || first.contains([',', ' ']) {
        return fail(shown).advise(
            "Browsers take one origin or *; any other value is as good as none.",
            "Send the origin of the request, if it is one of those allowed, and Vary: Origin.",
            CORS,
        );
    }
    match first {
        "*" if credentials => warn(format!("{shown}, with Access-Control-Allow-Credentials"))
            .advise(
                "Browsers refuse * for requests with cookies (withCredentials): only those without \
             get through.",
                "Send the origin of the request, if it is one of those allowed, and Vary: Origin.",
                CORS,
            ),
        "*" => pass(format!("{shown}, without cookies")),
        _ if first == origin && credentials && !o.origin_chosen => warn(format!(
            "{shown}, with Access-Control-Allow-Credentials: true"
        ))
        .advise(
            "The server allows whoever asks: any page can read the stream of a user who is \
                 logged in.",
            "Compare Origin with a list before you send it back.",
            CORS,
        ),
        _ if first == origin => pass(shown),
        _ if o.origin_chosen => fail(format!("{shown}, and not {origin}")).advise(
            "Pages of that origin can't read the stream.",
            "Send the origin of the request, if it is one of those allowed, and Vary: Origin.",
            CORS,
        ),
        _ => pass(shown),
    }
}

/// The stream is there only for requests without this origin.
fn origin_refused(o: &Observed, status: u16, without: u16) -> Judged {
    let origin = &o.origin;
    let shown = format!("status {status} with Origin: {origin}, {without} without Origin");
    if !o.origin_chosen {
        return skip(format!(
            "{shown}; it is a stranger, --origin asks for yours"
        ));
    }
    fail(shown).advise(
        "Pages of that origin can't read the stream.",
        "Add that origin to the ones that the server accepts, and send \
         Access-Control-Allow-Origin with it.",
        CORS,
    )
}

pub(crate) fn preflight(o: &Observed) -> Judged {
    let (_, _) = o.streamed()?;
    if o.same_origin {
        return skip("a page of the URL's own origin sends none");
    }
    let Some(preflight) = &o.preflight else {
        if let (true, Some(cut)) = (o.preflight_left_out, &o.cut) {
            return skip(&**cut);
        }
        return skip("EventSource sends none, and this request needs none");
    };
    let asked = format!("OPTIONS for {}", subject(preflight));
    let Some(problem) = refused(preflight, &o.origin) else {
        return pass(format!("{asked} is allowed"));
    };
    let shown = format!("{asked}: {problem}");
    if !o.origin_chosen {
        return skip(format!(
            "{shown}; {} is a stranger, --origin asks for yours",
            o.origin
        ));
    }
    fail(shown).advise(
        "A browser asks before a script's fetch sends this to another origin, without \
         credentials, and gives up at this answer.",
        "Answer OPTIONS, without asking for credentials, with a 2xx status, \
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

/// Why a browser wouldn't go on.
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
            .any(|own| own.eq_ignore_ascii_case(wanted) || (own == "*" && star))
    };
    let simple = matches!(&*preflight.method, "GET" | "HEAD" | "POST");
    if !simple && !lists("access-control-allow-methods", &preflight.method, true) {
        return Some(format!(
            "{} isn't among Access-Control-Allow-Methods",
            preflight.method
        ));
    }
    // A * doesn't stand for Authorization (Fetch, CORS-preflight fetch).
    let missing = preflight.wanted.iter().find(|name| {
        !lists(
            "access-control-allow-headers",
            name,
            *name != "authorization",
        )
    });
    missing.map(|name| format!("{name} isn't among Access-Control-Allow-Headers"))
}
