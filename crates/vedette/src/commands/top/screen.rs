//! The terminal: a screen of its own while `top` runs, and as it was afterwards.

use std::io::{self, IsTerminal, Write};

use console::{Term, style};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::frame::{Line, Tone};

/// The other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal's other screen, with keys that are not shown. It is left when this is dropped.
pub struct Screen {
    before: Option<Termios>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It does not answer.
    pub fn open() -> io::Result<Screen> {
        let stdin = io::stdin();
        let before = if stdin.is_terminal() { Some(tcgetattr(&stdin)?) } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            raw.output_modes = before.output_modes;
            tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
        }
        let screen = Screen { before };
        let mut out = io::stdout().lock();
        out.write_all(ENTER.as_bytes())?;
        out.flush()?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        // A terminal that has gone needs neither.
        out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush()).ok();
        if let Some(before) = &self.before {
            tcsetattr(io::stdin(), OptionalActions::Now, before).ok();
        }
    }
}

/// Draws a frame for the terminal's width and height, in one write.
///
/// # Errors
/// The terminal has gone.
pub fn draw(frame: impl FnOnce(usize, usize) -> Vec<Line>) -> io::Result<()> {
    let (height, width) = Term::stdout().size();
    let mut bytes = String::from("\x1b[H");
    let lines = frame(width.into(), height.into());
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            bytes.push_str("\r\n");
        }
        bytes.push_str(&colored(line));
        bytes.push_str("\x1b[K");
    }
    bytes.push_str("\x1b[J");
    let mut out = io::stdout().lock();
    out.write_all(bytes.as_bytes())?;
    out.flush()
}

fn colored(line: &Line) -> String {
    let text = style(&line.text);
    match line.tone {
        Tone::Plain => return line.text.clone(),
        Tone::Head => text.reverse(),
        Tone::Strong => text.bold(),
        Tone::Warn => text.yellow(),
        Tone::Fail => text.red().bold(),
    }
    .to_string()
}
