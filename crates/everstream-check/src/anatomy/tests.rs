use super::*;

/// The same whatever the reads.
fn seen(bytes: &[u8]) -> Stream {
    let take = |size: usize| {
        let mut anatomy = Anatomy::new();
        for piece in bytes.chunks(size) {
            anatomy.take(piece, Duration::ZERO);
        }
        let mut seen = anatomy.end(End::Ended, Duration::ZERO);
        seen.reads.clear();
        seen
    };
    let whole = format!("{:?}", take(bytes.len().max(1)));
    for size in [1, 2, 3, 7] {
        assert_eq!(format!("{:?}", take(size)), whole, "reads of {size}");
    }
    take(bytes.len().max(1))
}

#[test]
fn line_ends_are_counted_by_kind() {
    let ends = |bytes| {
        let seen = seen(bytes);
        (seen.lf, seen.crlf, seen.cr)
    };
    assert_eq!(ends(b"data: a\n\n"), (2, 0, 0));
    assert_eq!(ends(b"data: a\r\n\r\n"), (0, 2, 0));
    assert_eq!(ends(b"data: a\r\rdata: b\n\r\n"), (1, 1, 2));
}

#[test]
fn lines_without_a_known_field_name_are_not_fields() {
    let seen =
        seen(b"data: a\ndata\n: c\nfoo: 1\nfoo: 2\n{\"a\": 1}\nData: x\n data: y\nplain text\n\n");
    assert_eq!(seen.unknown_fields.get("foo"), Some(&2));
    assert_eq!(seen.unknown_fields.len(), 1);
    assert_eq!(seen.stray_lines, 4);
    assert_eq!(seen.stray_line.as_deref(), Some("{\"a\": 1}"));
    assert_eq!((seen.comments, seen.events.len()), (1, 1));
}

#[test]
fn retry_is_digits() {
    let good = seen(b"retry: 100\nretry: 100\nretry: 200\n\n");
    assert_eq!(good.retries, [100, 200]);
    assert_eq!(good.bad_retry, None);
    assert_eq!(seen(b"retry: 1s\n\n").bad_retry.as_deref(), Some("1s"));
    assert_eq!(seen(b"retry\n\n").bad_retry.as_deref(), Some(""));
}

#[test]
fn byte_order_marks_are_found_where_they_are() {
    let seen = seen(b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n");
    assert!(seen.bom_at_start);
    assert_eq!((seen.later_boms, seen.events.len()), (1, 1));
}

#[test]
fn the_first_byte_that_is_not_utf8_is_found() {
    assert_eq!(seen("data: ü€😀\n\n".as_bytes()).not_utf8, None);
    assert_eq!(seen(b"data: \xC3\xBC\xFF\n\n").not_utf8, Some(8));
    assert_eq!(seen(b"data: \xE2\x82").not_utf8, Some(6));
}

#[test]
fn an_event_without_its_blank_line_is_half() {
    assert!(seen(b"data: a\n\ndata: b\n").half_event);
    assert!(seen(b"data: a\n\ndat").half_event);
    assert!(!seen(b"data: a\n\n").half_event);
    assert!(!seen(b"data: a\n\n: bye").half_event);
    assert!(!seen(b"data: a\r\r").half_event);
}

#[test]
fn ids_that_no_client_can_use_are_counted() {
    let seen = seen(b"id: a\0b\ndata: 1\n\nid: a\x07b\ndata: 2\n\nid: ok\ndata: 3\n\n");
    assert_eq!((seen.ids_with_nul, seen.ids_unsendable), (1, 1));
    let ids: Vec<_> = seen.events.iter().map(|it| it.id.as_deref()).collect();
    assert_eq!(ids, [None, Some("a\x07b"), Some("ok")]);
}

#[test]
fn invalid_json_is_distinguished_from_text() {
    for (data, expected) in [
        ("{\"a\": 1}", Form::Json),
        ("7", Form::Json),
        ("{", Form::AlmostJson),
        ("{\"a\": 1", Form::AlmostJson),
        ("[{\"a\"", Form::AlmostJson),
        ("[DONE]", Form::Text),
        ("{hello}", Form::Text),
    ] {
        assert_eq!(form(data), expected, "{data}");
    }
}

#[test]
fn events_that_report_errors_are_recognized() {
    let text = |kind, data| error_text(kind, data);
    let anthropic =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_eq!(text("error", anthropic).as_deref(), Some("Overloaded"));
    assert_eq!(text("message", anthropic).as_deref(), Some("Overloaded"));
    let openai = r#"{"error":{"message":"quota exceeded","code":429}}"#;
    assert_eq!(text("message", openai).as_deref(), Some("quota exceeded"));
    assert_eq!(text("message", r#"{"error":"no"}"#).as_deref(), Some("no"));
    assert_eq!(text("error", "gone").as_deref(), Some("gone"));
    for fine in [
        r#"{"error":null}"#,
        r#"{"error":0.25}"#,
        r#"{"text":"\"error\""}"#,
        "\"error\"",
    ] {
        assert_eq!(text("message", fine), None, "{fine}");
    }
}

#[test]
fn the_first_line_of_an_unknown_field_is_kept() {
    let seen = seen(b"error: quota exceeded\nfoo: 1\n\n");
    assert_eq!(seen.unknown_line.as_deref(), Some("error: quota exceeded"));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut anatomy = Anatomy::new();
    for number in 0..20_000 {
        let text = format!("f{number}: x\nevent: {number}\ndata: {number}\n\n");
        anatomy.take(text.as_bytes(), Duration::ZERO);
    }
    anatomy.take(&vec![b'x'; 1 << 20], Duration::ZERO);
    assert!(anatomy.is_full());
    assert!(anatomy.line.len() <= KEPT);
    let seen = anatomy.end(End::Open, Duration::ZERO);
    assert_eq!(seen.events.len(), MAX_EVENTS);
    assert_eq!(seen.kinds.len(), MAX_NAMES);
    assert_eq!(seen.unknown_fields.len(), MAX_NAMES);
    assert_eq!(seen.longest_line, 1 << 20);
}

#[test]
fn long_ids_end_the_observation_early() {
    let mut anatomy = Anatomy::new();
    let event = format!("id: {}\ndata: x\n\n", "i".repeat(1 << 20));
    for _ in 0..20 {
        anatomy.take(event.as_bytes(), Duration::ZERO);
    }
    assert!(anatomy.is_full());
    assert_eq!(anatomy.events().len(), 8);
}

#[test]
fn the_silence_at_the_end_counts() {
    let seconds = Duration::from_secs;
    let watch = |end| {
        let mut anatomy = Anatomy::new();
        anatomy.take(b": a\n", seconds(2));
        anatomy.take(b": b\n", seconds(5));
        anatomy.end(end, seconds(20)).longest_silence()
    };
    assert_eq!(watch(End::Open), seconds(15));
    // A proxy that closes a silent connection may end it cleanly.
    assert_eq!(watch(End::Ended), seconds(15));
    assert_eq!(watch(End::Broke("cut".into())), seconds(15));
}
