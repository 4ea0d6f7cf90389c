//! Passwords that are missing from `-u` and `--proxy-user`.

use std::env::VarError;
use std::io;

use crate::exit::Exit;
use crate::report::{self, Problem};
use crate::visible::visible;

/// The environment variable with the password.
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
        Problem::because("can't ask for the password of -u", &error).hint(format!(
            "set it without showing it: read -rs {PASSWORD} && export {PASSWORD}"
        ))
    })
}

/// The password that is missing from `--proxy-user`.
pub(crate) fn proxy_password(user: &str) -> Result<String, Problem> {
    let prompt = format!("everstream: password of {} for the proxy: ", visible(user));
    ask(&prompt).map_err(|error| {
        Problem::because("can't ask for the password of --proxy-user", &error)
            .hint("-U USER:PASSWORD (--proxy-user); \"USER:\" is an empty password")
    })
}

/// A signal must not leave the terminal without echo: rpassword restores it when it returns, but
/// the signal that it makes of Ctrl-C would end the process before that.
#[cfg(unix)]
fn ask(prompt: &str) -> io::Result<String> {
    use std::fs::File;
    use std::thread;

    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use tokio::sync::oneshot;

    use crate::stop::Signals;

    // The terminal that rpassword uses.
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

/// As requested, on a separate line.
fn end() -> ! {
    report::raw("");
    std::process::exit(Exit::Done as i32);
}
