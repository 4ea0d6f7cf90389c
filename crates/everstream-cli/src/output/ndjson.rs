//! For programs: one JSON object per line.

use std::time::SystemTime;

use everstream::Event;

use super::json::{is_json, write_compact, write_text};

/// An object with these keys in this order; `id` and `last_event_id` are null if missing.
pub(super) fn event(out: &mut String, event: &Event, time: SystemTime, json_data: bool) {
    out.push_str("{\"event\":");
    write_text(out, Some(event.event()));
    out.push_str(",\"data\":");
    if json_data && is_json(event.data()) {
        write_compact(out, event.data());
    } else {
        write_text(out, Some(event.data()));
    }
    out.push_str(",\"id\":");
    write_text(out, event.id());
    out.push_str(",\"last_event_id\":");
    write_text(out, event.last_event_id());
    end(out, time);
}

pub(super) fn comment(out: &mut String, text: &str, time: SystemTime) {
    out.push_str("{\"comment\":");
    write_text(out, Some(text));
    end(out, time);
}

/// The status and headers of a response; headers are pairs, because names may be repeated.
pub(super) fn response(out: &mut String, status: u16, headers: &[(&str, &str)], time: SystemTime) {
    out.push_str(&format!("{{\"status\":{status},\"headers\":["));
    for (index, (name, value)) in headers.iter().enumerate() {
        out.push_str(if index == 0 { "[" } else { ",[" });
        write_text(out, Some(name));
        out.push(',');
        write_text(out, Some(value));
        out.push(']');
    }
    out.push(']');
    end(out, time);
}

fn end(out: &mut String, time: SystemTime) {
    out.push_str(",\"time\":\"");
    out.push_str(&super::rfc3339(time));
    out.push_str("\"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn line(one: &Event, json_data: bool) -> String {
        let mut out = String::new();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        event(&mut out, one, time, json_data);
        out
    }

    #[test]
    fn json_has_the_five_keys_in_order() {
        let event = Event::new("", "a\n\"é\"", None);
        assert_eq!(
            line(&event, false),
            "{\"event\":\"message\",\"data\":\"a\\n\\\"é\\\"\",\"id\":null,\
             \"last_event_id\":null,\"time\":\"2023-11-14T22:13:20.042Z\"}\n"
        );
    }

    #[test]
    fn data_is_nested_if_it_is_json_and_a_string_otherwise() {
        for (data, nested) in [
            ("{\"a\":\n 1.50}", r#""data":{"a":1.50},"#),
            ("[DONE]", r#""data":"[DONE]","#),
            ("\"x\"", r#""data":"x","#),
            ("", r#""data":"","#),
        ] {
            let line = line(&Event::new("", data, None), true);
            assert!(line.contains(nested), "{line}");
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        }
    }

    #[test]
    fn json_escapes_control_characters_without_changing_the_value() {
        let event = Event::new("", "\x1b\x7f\u{9b}\u{202e}\u{2028}", Some(""));
        let line = line(&event, false);
        assert!(
            line.contains(r#""\u001b\u007f\u009b\u202e\u2028""#),
            "{line}"
        );
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["data"], "\x1b\x7f\u{9b}\u{202e}\u{2028}");
        assert_eq!(parsed["id"], "");
    }
}
