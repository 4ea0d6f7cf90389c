//! The passwords that `-u` and `--proxy-user` leave out.

use std::env::VarError;
use std::io;

use crate::exit::Exit;
use crate::report::{self, Problem};
use crate::visible::visible;

/// Its variable.
pub(crate) const PASSWORD: &str = "EVERSTREAM_PASSWORD";

pub(crate) fn password(user: &str) -> Result<String, Problem> {
    match std::env::var(PASSWORD) {
        Ok(value) => return Ok(value.trim().to_owned()),
        Err(VarError::NotPresent) => {}
        Err(VarError::NotUnicode(_)) => {
            let what = format!("the environment variable {PASSWORD} isn't UTF-8");
            return Err(Problem::new(what));
        }
    }
    let prompt = format!("everstream: password of {}: ", visible(user));
    ask(&prompt).map_err(|error| {
        Problem::because("-u has no password, and it can't be asked for", &error).hint(format!(
            "set it without showing it: read -rs {PASSWORD} && export {PASSWORD}"
        ))
    })
}

/// The password that `--proxy-user` leaves out.
pub(crate) fn proxy_password(user: &str) -> Result<String, Problem> {
    let prompt = format!("everstream: password of {} for the proxy: ", visible(user));
    ask(&prompt).map_err(|error| {
        Problem::because(
            "--proxy-user has no password, and it can't be asked for",
            &error,
        )
        .hint("--proxy-user USER:PASSWORD; \"USER:\" is an empty password")
    })
}

/// A signal while the terminal doesn't show what is typed must not leave it so: rpassword restores
/// it when it returns, and would be ended before by the signal that it makes of Ctrl-C.
#[cfg(unix)]
fn ask(prompt: &str) -> io::Result<String> {
    use std::fs::File;
    use std::thread;

    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use tokio::sync::oneshot;

    use crate::stop::Signals;

    // The one that rpassword asks at.
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let settings = tcgetattr(&terminal)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let (answered, is_answered) = oneshot::channel::<()>();
    let watching = thread::Builder::new().spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = signals.next() => {
                    _ = tcsetattr(&terminal, OptionalActions::Now, &settings);
                    end();
                }
                _ = is_answered => {}
            }
        });
    })?;
    let answer = rpassword::prompt_password(prompt);
    drop(answered);
    _ = watching.join();
    match answer {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => end(),
        answer => answer,
    }
}

#[cfg(not(unix))]
fn ask(prompt: &str) -> io::Result<String> {
    match rpassword::prompt_password(prompt) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => end(),
        answer => answer,
    }
}

/// As asked, on a line of its own.
fn end() -> ! {
    report::raw("");
    std::process::exit(Exit::Done as i32);
}
