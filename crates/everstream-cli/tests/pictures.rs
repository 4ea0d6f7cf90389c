//! The pictures of the terminal in `docs/pictures`, and the scenes that they show.
//!
//! `cargo xtask pictures` takes them from the real command in a real terminal. A picture that differs
//! only in its figures stays as it is, unless its file is removed first.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use everstream_testing::{Reply, Request, Server};
use regex_lite::Regex;

use crate::common::{pty::Pty, svg};

/// A scene. A new picture is an entry here.
struct Scene {
    /// The name of the file.
    name: &'static str,
    rows: u16,
    columns: u16,
    /// The command line, which is its title too. Its hosts are played by [`answer`].
    line: &'static str,
    /// The picture is taken when the screen satisfies this.
    taken_at: fn(&str) -> bool,
}

const SCENES: &[Scene] = &[
    Scene {
        name: "follow",
        rows: 24,
        columns: 96,
        line: "everstream http://example.com/prices",
        taken_at: |screen| screen.contains("8.25") && screen.contains("for 1 s"),
    },
    Scene {
        name: "top",
        rows: 16,
        columns: 104,
        line: "everstream top http://example.com/trades http://example.com/builds http://example.org/news",
        taken_at: |screen| screen.contains("0:00:14") && screen.contains("retry in "),
    },
    Scene {
        name: "check",
        rows: 30,
        columns: 96,
        line: "everstream check --quiet --count 4 http://example.com/orders",
        taken_at: |screen| screen.contains("passed, "),
    },
    Scene {
        name: "demo",
        rows: 38,
        columns: 88,
        line: "everstream demo",
        taken_at: |screen| screen.contains("Check your own server"),
    },
];

/// The server of all scenes, used as a proxy, with the whole URL.
fn answer(request: &Request) -> Reply {
    let resumes = request.header("last-event-id").is_some();
    let moment = Duration::from_millis;
    let stream = Reply::stream().retry(200);
    match request.target.as_str() {
        "http://example.com/prices" if resumes => stream
            .send("event: price\nid: 43\ndata: {\"symbol\": \"ACME\", \"price\": 8.25, \"halted\": false}\n\n")
            .stall(),
        "http://example.com/prices" => stream
            .send("event: price\nid: 41\ndata: {\"symbol\": \"ACME\", \"price\": 7.50, \"halted\": null}\n\n")
            .send("event: news\nid: 42\ndata: ACME opens a shop\n\n")
            .pause(moment(300))
            .send("event: price\nid: 43\nda")
            .drop_connection(),
        "http://example.com/trades" => {
            let in_a_second = [3, 5, 9, 14, 12, 8, 6, 11, 16, 13, 7, 4, 6, 10];
            let mut id = 1000;
            let seconds = in_a_second.iter().cycle().take(100);
            seconds.fold(stream, |mut reply, count| {
                for number in 0..*count {
                    id += 1;
                    let kind = if number % 5 == 4 { "quote" } else { "trade" };
                    reply = reply
                        .send(format!("event: {kind}\nid: {id}\ndata: {{\"symbol\": \"ACME\", \"size\": {}}}\n\n", id % 70))
                        .pause(moment(1000 / count));
                }
                reply
            })
        }
        "http://example.com/builds" => (1..100).fold(stream, |reply, number| {
            let state = if number % 3 == 0 { "passed" } else { "started" };
            let reply = reply.comment("keep-alive").pause(moment(1000));
            reply.send(format!("event: {state}\nid: build-{number}\ndata: main\n\n")).pause(moment(1500))
        }),
        // Whatever the client has already received.
        "http://example.com/orders" => {
            let orders = (1..=4).map(|id| format!("id: {id}\ndata: {{\"order\": {id}}}\n\n"));
            stream.send(orders.collect::<String>()).stall()
        }
        "http://example.org/news" if resumes => Reply::status(503).header("Retry-After", "25"),
        "http://example.org/news" => stream.event_with_id("7", "ACME opens a shop").end(),
        _ => Reply::status(404),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures")
}

/// Runs the scene, and draws its screen.
fn take(scene: &Scene) -> String {
    let server = Server::with_handler(answer);
    let command = Path::new(env!("CARGO_BIN_EXE_everstream"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", command.parent().unwrap().display());
    let proxy = server.url("").trim_end_matches('/').to_owned();
    let environment = [("PATH", path.as_str()), ("http_proxy", &proxy)];
    let pty = Pty::run(scene.rows, scene.columns, scene.line, &environment);
    pty.wait(scene.name, scene.taken_at);

    let mut screen = vt100::Parser::new(scene.rows, scene.columns, 0);
    let time = Regex::new(r"\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
    let written = svg::faint_as_color(&pty.written());
    screen.process(time.replace_all(&written, "12:00:00.000Z").as_bytes());
    let mut rows = svg::rows(screen.screen());
    let empty = |row: &Vec<svg::Cell>| row.iter().all(|cell| cell.text == " ");
    let last = rows.iter().rposition(|row| !empty(row)).unwrap();
    rows.truncate(last + 1);
    svg::picture(&format!("$ {}", scene.line), &rows)
}

/// The text without figures and rate bars, which differ from run to run.
fn shape(picture: &str) -> String {
    let rates = Regex::new("<text[^>]*>[▁▂▃▄▅▆▇█]+</text>\n").unwrap();
    let figures = Regex::new(r"[0-9.:]+").unwrap();
    figures
        .replace_all(&rates.replace_all(picture, ""), "0")
        .into_owned()
}

#[test]
fn every_scene_has_its_picture() {
    for scene in SCENES {
        let file = folder().join(format!("{}.svg", scene.name));
        if std::env::var_os("UPDATE_PICTURES").is_some() {
            let new = take(scene);
            let old = fs::read_to_string(&file).unwrap_or_default();
            if shape(&old) != shape(&new) {
                fs::create_dir_all(folder()).unwrap();
                fs::write(&file, new).unwrap();
            }
        }
        let picture = fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{}: {error}; cargo xtask pictures makes it", file.display())
        });
        let title = format!("<title>$ {}</title>", scene.line);
        assert!(
            picture.contains(&title),
            "{}: cargo xtask pictures",
            file.display()
        );
    }
}

#[test]
fn every_picture_has_its_scene() {
    for entry in fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(
            SCENES.iter().any(|scene| scene.name == name),
            "no scene is called {name}"
        );
    }
}

fn picture_of(written: &str) -> String {
    let mut screen = vt100::Parser::new(2, 20, 0);
    screen.process(svg::faint_as_color(written).as_bytes());
    svg::picture("a & b", &svg::rows(screen.screen()))
}

#[test]
fn a_screen_becomes_text_where_its_columns_are() {
    let picture =
        picture_of("a <&> \x1b[1;34mblue\x1b[0m \x1b[7m x \x1b[0m\r\n  \x1b[2m日本\x1b[0m");
    for part in [
        "<title>a &amp; b</title>",
        r#"<text class="faint" x="12.0" y="19.0" textLength="42.0" lengthAdjust="spacing">a &amp; b</text>"#,
        r#"<text class="ink" x="12.0" y="41.5" textLength="42.0" lengthAdjust="spacing">a &lt;&amp;&gt;</text>"#,
        r#"<text class="c4 bold" x="62.4" y="41.5" textLength="33.6" lengthAdjust="spacing">blue</text>"#,
        r#"<rect class="ink" x="104.4" y="28.0" width="25.2" height="18"/>"#,
        r#"<text class="paper" x="112.8" y="41.5" textLength="8.4" lengthAdjust="spacing">x</text>"#,
        r#"<text class="faint" x="28.8" y="59.5" textLength="33.6" lengthAdjust="spacing">日本</text>"#,
    ] {
        assert!(picture.contains(part), "no {part} in {picture}");
    }
}

/// Browsers collapse spaces, and only drawings may be stretched.
#[test]
fn no_text_has_two_spaces_in_a_row_or_a_space_next_to_a_block() {
    let picture = picture_of("one two  three   4\r\n█ ▂▃  ─── a");
    let texts: Vec<_> =
        Regex::new(r#"<text class="ink" x="([^"]+)".* lengthAdjust="([^"]+)">(.*)</text>"#)
            .unwrap()
            .captures_iter(&picture)
            .map(|text| format!("{} {} {}", &text[1], &text[2], &text[3]))
            .collect();
    let expected = [
        "12.0 spacing one two",
        "87.6 spacing three",
        "154.8 spacing 4",
        "12.0 spacingAndGlyphs █",
        "28.8 spacingAndGlyphs ▂▃",
        "62.4 spacingAndGlyphs ───",
        "96.0 spacing a",
    ];
    assert_eq!(texts, expected);
}

/// As WCAG 2.1 defines it, from 1 to 21.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |color: &str| {
        let part = |at: usize| {
            let value = u8::from_str_radix(&color[at..at + 2], 16).unwrap();
            let value = f64::from(value) / 255.0;
            match value <= 0.03928 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn every_color_is_readable_on_light_and_dark_pages() {
    assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 1e-9);
    assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.01);
    for palette in [svg::LIGHT, svg::DARK] {
        for color in palette.colors.iter().chain([&palette.ink, &palette.faint]) {
            let contrast = contrast(color, palette.paper);
            assert!(
                contrast >= 4.5,
                "{color} on {}: {contrast:.2}",
                palette.paper
            );
        }
    }
}
