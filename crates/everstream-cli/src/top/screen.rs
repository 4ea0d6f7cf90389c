//! The terminal of `top`, and its restoration.

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

/// Whether the terminal must be restored.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The whole terminal. It is restored when this is dropped, and on a panic.
pub(crate) struct Screen {
    /// Never dropped: it would show the cursor, which is done here, and panic if the terminal is
    /// closed.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    /// Raw mode without echo, and the alternate screen.
    pub(crate) fn take() -> io::Result<Screen> {
        restore_on_panic();
        let entered = enter().and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match entered {
            Ok(terminal) => Ok(Screen {
                terminal: ManuallyDrop::new(terminal),
            }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Writes only the differences from the last drawing.
    pub(crate) fn draw(&mut self, drawing: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(drawing).map(|_| ())
    }

    /// The next drawing writes everything.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Takes the terminal again: while the process was stopped, the shell had it.
    pub(crate) fn reclaim(&mut self) -> io::Result<()> {
        // crossterm skips raw mode if it is already on.
        _ = disable_raw_mode();
        enter()?;
        self.forget()
    }

    /// Restores the terminal and stops the process until it is continued.
    #[cfg(unix)]
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        restore();
        // Stops the whole job, as Ctrl-Z in a terminal without raw mode. Without a shell that could
        // continue it, the system doesn't stop it.
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        self.reclaim()
    }

    #[cfg(not(unix))]
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// Errors are ignored: there is no terminal to restore.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        _ = disable_raw_mode();
        let mut out = io::stdout();
        _ = queue!(out, LeaveAlternateScreen, Show);
        _ = out.flush();
    }
}

/// For a terminal that accepts no more output, only its modes can be restored.
pub(crate) fn abandon() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        _ = disable_raw_mode();
    }
}

/// The message of a panic must be readable.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    });
}
