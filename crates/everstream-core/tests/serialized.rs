//! Events as JSON.

use everstream_core::{Decoder, Event, Item};
use serde_json::{from_str, json, to_string, to_value};

#[test]
fn an_event_survives_a_json_round_trip() {
    for (event, data, id) in [
        ("", "", None),
        ("put", "{\"a\": \"\\n\"}", Some("7")),
        ("message", "two\nlines\u{0}", Some("")),
        ("ü", "日本 \u{1F600}", Some("\"")),
    ] {
        let event = Event::new(event, data, id);
        let text = to_string(&event).unwrap();
        assert_eq!(from_str::<Event>(&text).unwrap(), event, "{text}");
        assert_eq!(to_string(&event.as_event_ref()).unwrap(), text);
    }
}

#[test]
fn the_last_event_id_survives_a_json_round_trip() {
    let mut decoder = Decoder::new();
    decoder.set_last_event_id(Some("41"));
    let Ok(Some(Item::Event(event))) = decoder.decode_owned(&mut &b"data: x\n\n"[..]) else {
        panic!("an event was sent");
    };
    let copy: Event = from_str(&to_string(&event).unwrap()).unwrap();
    assert_eq!((copy.id(), copy.last_event_id()), (None, Some("41")));
    assert_eq!(copy, event);
}

#[test]
fn json_keys_match_the_accessors() {
    let event = Event::new("", "x", Some("7"));
    assert_eq!(
        to_value(event).unwrap(),
        json!({"event": "message", "data": "x", "id": "7", "last_event_id": "7"})
    );
}

#[test]
fn missing_keys_take_their_defaults() {
    let event: Event = from_str("{}").unwrap();
    assert_eq!(event, Event::new("", "", None));
    let event: Event = from_str(r#"{"data": "x", "id": null, "more": 1}"#).unwrap();
    assert_eq!(event, Event::new("message", "x", None));
}

#[test]
fn the_own_id_takes_precedence_over_last_event_id() {
    let event: Event = from_str(r#"{"id": "7", "last_event_id": "9"}"#).unwrap();
    assert_eq!((event.id(), event.last_event_id()), (Some("7"), Some("7")));
}
