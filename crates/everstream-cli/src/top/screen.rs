//! The terminal as `top` uses it, and as it was before.

use std::io::{self, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

/// Whether the terminal is to be put back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The whole terminal. When this is dropped, or a panic comes, the terminal is as it was.
pub(crate) struct Screen {
    /// Never dropped: it would show the cursor, which is done here, and panic if the terminal has gone
    /// and it can't say so.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    /// Keys come one by one and unseen, and drawings go to a screen of their own.
    pub(crate) fn take() -> io::Result<Screen> {
        restore_on_panic();
        let entered = enter().and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match entered {
            Ok(terminal) => Ok(Screen {
                terminal: ManuallyDrop::new(terminal),
            }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Writes what differs from the last drawing.
    pub(crate) fn draw(&mut self, drawing: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(drawing).map(|_| ())
    }

    /// The next drawing writes everything.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Takes the terminal again: while the process was stopped, it was somebody else's.
    pub(crate) fn retake(&mut self) -> io::Result<()> {
        // What is raw already isn't made so anew.
        _ = disable_raw_mode();
        enter()?;
        self.forget()
    }

    /// Gives the terminal back and stops, until the process is to go on.
    #[cfg(unix)]
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The whole job, as a terminal does it that isn't raw. Where there is no shell to let it go
        // on, the system doesn't stop it.
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        self.retake()
    }

    #[cfg(not(unix))]
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// What can't be written any more has no terminal to be put right.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        _ = disable_raw_mode();
        let mut out = io::stdout();
        _ = queue!(out, LeaveAlternateScreen, Show);
        _ = out.flush();
    }
}

/// All that can be done for a terminal that takes no more output: it has its modes again.
pub(crate) fn abandon() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        _ = disable_raw_mode();
    }
}

/// A panic's message belongs where it can be read.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            tell(panic);
        }));
    });
}
