//! Shell completions and manual pages.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Folder, everstream};

fn printed(args: &[&str]) -> String {
    let output = everstream(args.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The output of a program for a script on standard input. `None`: the program isn't installed.
fn ask(program: &str, args: &[&str], input: &str) -> Option<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.is_empty(),
        "{program} {args:?}: {told}"
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn bash_completes_options_and_subcommands() {
    let folder = Folder::new("completions");
    let script = folder.file("everstream.bash", &printed(&["completions", "bash"]));
    // Like the Tab key: the words so far, and the result of the function.
    let completed = |words: &str, current: &str| {
        let line = format!(
            "source '{}' && complete -p everstream && COMP_WORDS=({words} {current}) && \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) && \
             _everstream everstream '{current}' '' && echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        ask("bash", &["--norc", "-c", &line], "").expect("this test needs bash")
    };
    let all = completed("everstream", "--cur");
    let mut lines = all.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with(" -F _everstream everstream"),
        "{all}"
    );
    assert_eq!(lines.next(), Some("--cursor --cursor-every"));
    if cfg!(feature = "top") {
        assert!(completed("everstream top", "--all").ends_with("\n--all-origins\n"));
    }
    assert!(completed("everstream", "comp").ends_with("\ncompletions\n"));
    // The hidden subcommand isn't included.
    for words in ["everstream", "everstream help"] {
        assert!(!completed(words, "jq").contains("jq-worker"));
        assert!(completed(words, "repl").ends_with("\nreplay\n"));
    }
    assert!(completed("everstream completions", "z").ends_with("\nzsh\n"));
}

/// Each script contains the options and subcommands, and installed shells can parse theirs.
#[test]
fn every_shell_has_a_completion_script() {
    for (shell, check) in [
        ("bash", &["-n"][..]),
        ("zsh", &["-n"]),
        ("fish", &["--no-execute"]),
        ("elvish", &["-compileonly", "/dev/stdin"]),
        ("powershell", &[]),
    ] {
        let script = printed(&["completions", shell]);
        for word in [
            "cursor-every",
            if cfg!(feature = "top") {
                "all-origins"
            } else {
                "top"
            },
            "completions",
            "demo",
            "skip-duplicates",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        if !check.is_empty() {
            ask(shell, check, &script);
        }
    }
    let fish = printed(&["completions", "fish"]);
    // fish refuses both when it completes, not when it parses.
    let mut options = fish.lines().filter(|line| line.contains("string join"));
    assert!(options.all(|line| !line.contains('.')), "{fish}");
    assert!(!fish.contains("-s # "), "{fish}");
    let completed = "source; complete -C 'everstream rel'";
    if let Some(completed) = ask("fish", &["--no-config", "-c", completed], &fish) {
        let names = completed.lines().filter_map(|line| line.split('\t').next());
        assert_eq!(names.collect::<Vec<_>>(), ["relay"]);
    }
    let refused = everstream(["completions", "tcsh"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("powershell")
    );
}

fn subcommands() -> Vec<String> {
    let help = printed(&["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

/// The text of the page. groff, if installed, reports what it doesn't understand.
fn text(page: &str) -> String {
    ask("groff", &["-man", "-Tutf8", "-ww"], page);
    page.replace("\\-", "-")
        .replace("\\*(Aq", "'")
        .replace("\\fR", "")
        .replace("\\fB", "")
}

#[test]
fn the_manual_page_lists_every_subcommand_and_exit_code() {
    let text = text(&printed(&["man"]));
    for name in subcommands() {
        assert!(
            text.contains(&format!("\neverstream-{name}(1)\n")),
            "{name}: {text}"
        );
    }
    let codes = text.split(".SH \"EXIT STATUS\"\n").nth(1).unwrap();
    for code in 0..=11 {
        assert!(codes.contains(&format!(".TP\n{code}\n")), "{code}: {codes}");
    }
    assert!(
        codes.contains("\n4\nthe server ended the stream permanently (status 204)\n"),
        "{codes}"
    );
    let (_, examples) = text.split_once(".SH EXAMPLES\n.nf\n").unwrap();
    assert!(examples.starts_with("everstream https://"), "{examples}");
    let synopsis = ".SH SYNOPSIS\neverstream [OPTIONS] <URL>\n.br\neverstream <COMMAND>\n";
    assert!(text.contains(synopsis), "{text}");
    assert!(text.contains("--cursor"), "{text}");
}

#[test]
fn all_manual_pages_are_written_to_a_directory() {
    let folder = Folder::new("man");
    let directory = folder.path("not/yet/there");
    let printed_nothing = printed(&["man", directory.to_str().unwrap()]);
    assert_eq!(printed_nothing, "");
    let page = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    assert_eq!(page("everstream.1"), printed(&["man"]));
    let subcommands = subcommands();
    assert!(subcommands.len() >= 5, "{subcommands:?}");
    for name in &subcommands {
        let text = text(&page(&format!("everstream-{name}.1")));
        assert!(
            text.contains(&format!(".SH NAME\neverstream-{name} - ")),
            "{text}"
        );
        assert!(
            text.contains(&format!(".SH SYNOPSIS\neverstream {name}")),
            "{text}"
        );
        assert!(text.contains("EXIT STATUS"), "{text}");
    }
    assert_eq!(
        std::fs::read_dir(&directory).unwrap().count(),
        subcommands.len() + 1
    );
}

#[test]
fn a_file_instead_of_a_directory_is_refused() {
    let folder = Folder::new("man-file");
    let file = folder.file("everstream.1", "mine");
    let output = everstream(["man", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("everstream.1 is a file, not a directory"),
        "{told}"
    );
    assert!(told.contains("hint: everstream man > "), "{told}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn an_unwritable_directory_is_an_error() {
    let folder = Folder::new("man-refused");
    let file = folder.file("file", "");
    let inside: &Path = &file.join("pages");
    let output = everstream(["man", inside.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("error: the page can't be written: "),
        "{told}"
    );
}
