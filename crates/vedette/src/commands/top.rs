//! `vedette top`: how the running server is doing, once a second.
//!
//! [`sample`] asks the server, [`frame`] makes lines of what it said, [`screen`] is the terminal. A server that is restarted is
//! waited for.

mod frame;
mod sample;
mod screen;

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    sync::mpsc::{self, Sender},
    thread,
    time::{Duration, Instant},
};

use console::{Key, Term};

pub use self::frame::bytes;
use self::{
    frame::{Frame, View},
    sample::{Rates, Sample, Sampler},
};
use crate::{Outcome, Usage, cli::TopArgs, client::Client, config};

/// From one sample to the next.
const EVERY: Duration = Duration::from_secs(1);

/// What `top` reacts to.
enum Input {
    Key(Key),
    Sample(Box<Sample>),
    /// The server does not answer, and why.
    Gone(String),
    /// A signal, or a terminal that has gone.
    End,
}

/// Runs the command until `q`, or for one frame.
pub fn run(args: TopArgs) -> anyhow::Result<Outcome> {
    let dir = match &args.data.config {
        Some(_) => config::open(&args.data)?.0,
        None => config::data_dir(args.data.data.as_deref(), None),
    };
    let Some(client) = Client::connect(&dir)? else {
        config::must_exist(&dir)?;
        anyhow::bail!("no server runs on {}: start it with `vedette up`, or name its folder with --data", dir.display())
    };
    let mut sampler = Sampler::new(client);
    if args.once {
        return once(&dir, &mut sampler);
    }
    if !io::stdout().is_terminal() || console::is_dumb() {
        return Err(Usage("standard output is no terminal: `vedette top --once` prints one frame".into()).into());
    }
    let screen = screen::Screen::open()?;
    let shown = watch(&dir, sampler);
    drop(screen);
    shown.map(|()| Outcome::Fine)
}

fn once(dir: &Path, sampler: &mut Sampler) -> anyhow::Result<Outcome> {
    let before = sampler.take()?;
    thread::sleep(EVERY);
    let sample = sampler.take_anew()?;
    let rates = Rates::between(&before, &sample);
    let frame = Frame { dir, sample: &sample, rates: &rates, gone: None };
    let mut out = io::stdout().lock();
    for line in frame.lines(&View::default(), usize::MAX, None) {
        writeln!(out, "{}", line.text)?;
    }
    Ok(Outcome::Fine)
}

fn watch(dir: &Path, sampler: Sampler) -> anyhow::Result<()> {
    let (sender, inputs) = mpsc::channel();
    let (keys, samples, signals) = (sender.clone(), sender.clone(), sender);
    thread::Builder::new().name("keys".into()).spawn(move || read_keys(&keys))?;
    thread::Builder::new().name("signals".into()).spawn(move || wait_for_signal(&signals))?;
    let folder = dir.to_owned();
    thread::Builder::new().name("samples".into()).spawn(move || keep_sampling(&folder, sampler, &samples))?;

    let mut view = View::default();
    let (mut latest, mut rates, mut gone): (Option<Box<Sample>>, Rates, Option<String>) =
        (None, Rates::default(), None);
    for input in inputs {
        match input {
            Input::End => return Ok(()),
            Input::Key(Key::Char('q' | 'Q') | Key::Escape | Key::CtrlC) => return Ok(()),
            Input::Key(key) => view.press(&key),
            Input::Sample(sample) => {
                if let Some(before) = &latest {
                    rates = Rates::between(before, &sample).or_tried_of(rates);
                }
                (latest, gone) = (Some(sample), None);
            }
            Input::Gone(why) => gone = Some(why),
        }
        if let Some(sample) = &latest {
            let frame = Frame { dir, sample, rates: &rates, gone: gone.as_deref() };
            screen::draw(|width, height| frame.lines(&view, width, Some(height)))?;
        }
    }
    Ok(())
}

fn read_keys(sender: &Sender<Input>) {
    let term = Term::stdout();
    while let Ok(key) = term.read_key_raw() {
        if sender.send(Input::Key(key)).is_err() {
            return;
        }
    }
    // Nobody listens any more where this fails.
    sender.send(Input::End).ok();
}

/// Whoever ends the process leaves the terminal as it was.
fn wait_for_signal(sender: &Sender<Input>) {
    use tokio::signal::unix::{SignalKind, signal};
    let waited = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        runtime.block_on(async {
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let mut hangup = signal(SignalKind::hangup())?;
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {}, _ = hangup.recv() => {} }
            io::Result::Ok(())
        })
    });
    if let Err(error) = waited {
        tracing::warn!("signals are not waited for: {error}");
        return;
    }
    sender.send(Input::End).ok();
}

/// Asks once a second; connects again when the server has gone.
fn keep_sampling(dir: &Path, sampler: Sampler, sender: &Sender<Input>) {
    let mut connected = Some(sampler);
    loop {
        let began = Instant::now();
        let taken = match &mut connected {
            Some(sampler) => sampler.take(),
            None => match Client::connect(dir) {
                Ok(Some(client)) => connected.insert(Sampler::new(client)).take(),
                Ok(None) => Err(anyhow::anyhow!("no server runs")),
                Err(error) => Err(error),
            },
        };
        let input = match taken {
            Ok(sample) => Input::Sample(Box::new(sample)),
            Err(error) => {
                connected = None;
                Input::Gone(crate::output::with_causes(&error))
            }
        };
        if sender.send(input).is_err() {
            return;
        }
        thread::sleep(EVERY.saturating_sub(began.elapsed()));
    }
}
