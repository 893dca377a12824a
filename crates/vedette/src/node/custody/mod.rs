//! What is done with the history itself: evidence, erasure, legal holds.

mod backup;
mod erase;
mod evidence;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use tokio::runtime::Handle;
use vedette_event::{Derive, EventId, SourceId, Time};
use vedette_ledger::{History, Ledger};
use vedette_query::SourceLookup;
use vedette_server::{Action, Ask, Custody, CustodyError, Erased, Hold, Language, Piece, Rooms, Selection};
use vedette_spool::Spool;
use vedette_store::{BatchName, Original, Store};

use super::{Node, journal::SelfJournal};

/// So many events at once; more is more than one case.
const MAX_EVENTS: usize = vedette_ledger::evidence::MAX_EVENTS as usize;
/// Sealing takes a second; it may have to wait for the disk.
const PATIENCE: Duration = Duration::from_secs(60);
const INDEXED_SOON: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

type Result<T> = std::result::Result<T, CustodyError>;

/// A batch's events by name.
type Batches = BTreeMap<BatchName, Vec<Original>>;

/// The keeper of a data folder's history. Its pipeline has to run, or nothing is sealed.
pub struct Keeper {
    dir: PathBuf,
    spool: Spool,
    ledger: Ledger,
    store: Store,
    rooms: Arc<dyn Rooms>,
    derive: Arc<dyn Derive>,
    sources: SourceLookup,
    journal: SelfJournal,
    runtime: Handle,
    /// One erasure at a time: two in one batch would bring back each other's salts.
    erasing: Mutex<()>,
}

impl Keeper {
    /// Of a node. Searches go through `rooms`; `runtime` waits for them.
    pub fn new(node: &Node, rooms: Arc<dyn Rooms>, journal: SelfJournal, runtime: Handle) -> Keeper {
        Keeper {
            dir: node.dir.clone(),
            spool: node.spool.clone(),
            ledger: node.ledger.clone(),
            store: node.store.clone(),
            rooms,
            derive: node.parsers.clone(),
            sources: super::sources(&node.spool),
            journal,
            runtime,
            erasing: Mutex::new(()),
        }
    }

    /// The events that a search finds: at least one.
    fn find(&self, selection: &Selection) -> Result<BTreeSet<EventId>> {
        let found = self.search(selection)?;
        if found.is_empty() {
            return Err(CustodyError::Refused("the search finds no event".into()));
        }
        Ok(found)
    }

    fn search(&self, selection: &Selection) -> Result<BTreeSet<EventId>> {
        let ask = Ask {
            query: selection.query.clone(),
            language: Language::Hunt,
            from: selection.from,
            to: selection.to,
            limit: MAX_EVENTS + 1,
        };
        let mut pieces = self.rooms.search(ask);
        let mut found = BTreeSet::new();
        while let Some(piece) = self.runtime.block_on(pieces.next()) {
            match piece? {
                Piece::Columns(columns) if !columns.is_empty() => {
                    let message = "this search gives a table, not events: leave out the pipes";
                    return Err(CustodyError::Refused(message.into()));
                }
                Piece::Row(row) => {
                    let id = row.get("event.id").and_then(|id| id.as_str()?.parse::<EventId>().ok());
                    found.insert(id.ok_or_else(|| CustodyError::Failed("an event without an id was found".into()))?);
                }
                _ => {}
            }
        }
        match found.len() {
            count if count > MAX_EVENTS => Err(too_many()),
            _ => Ok(found),
        }
    }

    /// Waits until events are in a signed checkpoint.
    fn wait_until_sealed<'a>(&self, events: impl IntoIterator<Item = &'a EventId>) -> Result<()> {
        let mut needed: BTreeMap<SourceId, u64> = BTreeMap::new();
        for event in events {
            let seq = needed.entry(event.source).or_default();
            *seq = (*seq).max(event.seq);
        }
        let deadline = Instant::now() + PATIENCE;
        while needed.iter().any(|(source, seq)| self.ledger.sealed_seq(source.0) <= *seq) {
            if Instant::now() > deadline {
                let message = "the events are not sealed yet, and sealing does not go on; health says why";
                return Err(CustodyError::Failed(message.into()));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The batches of events; of each all events.
    fn batches(&self, events: &BTreeSet<EventId>) -> Result<Batches> {
        let (wanted, batches) = self.look_up(events)?;
        match wanted.iter().find(|name| !batches.contains_key(name)) {
            Some((source, first)) => {
                Err(CustodyError::Failed(format!("the store does not have the batch {}-{first}", source.0)))
            }
            None => Ok(batches),
        }
    }

    /// As [`batches`](Self::batches); those that were deleted are left out.
    fn batches_there(&self, events: &BTreeSet<EventId>) -> Result<Batches> {
        self.look_up(events).map(|(_, batches)| batches)
    }

    fn look_up(&self, events: &BTreeSet<EventId>) -> Result<(BTreeSet<BatchName>, Batches)> {
        let mut wanted = BTreeSet::new();
        let deadline = Instant::now() + INDEXED_SOON;
        let mut history = self.history()?;
        for event in events {
            let place = loop {
                match history.batches(event.source.0, event.seq, event.seq).map_err(failed)?.pop() {
                    // The index comes a moment after the checkpoint.
                    None if Instant::now() < deadline => {
                        std::thread::sleep(LOOK);
                        history = self.history()?;
                    }
                    place => break place,
                }
            };
            let place = place.ok_or_else(|| CustodyError::Failed(format!("the ledger does not have event {event}")))?;
            wanted.insert((event.source, place.first_seq));
        }
        let mut batches = Batches::new();
        self.store.snapshot().batches(&wanted, |name, events| {
            batches.insert(name, events);
            Ok::<_, StoreFailed>(())
        })?;
        Ok((wanted, batches))
    }

    /// The log as of the newest checkpoint.
    fn history(&self) -> Result<History> {
        self.ledger.history(self.ledger.newest().size).map_err(failed)
    }
}

impl Custody for Keeper {
    fn export(&self, selection: &Selection, whole: bool, action: Action) -> Result<std::fs::File> {
        self.export_evidence(selection, whole, action)
    }

    fn erasable(&self, selection: &Selection) -> Result<Erased> {
        self.plan_erasure(selection).map(|plan| plan.report)
    }

    fn erase(&self, selection: &Selection, reason: &str, action: Action) -> Result<Erased> {
        self.erase_events(selection, reason, action)
    }

    fn back_up(&self, to: &Path, keys: &Path, action: Action) -> Result<u64> {
        self.back_up_to(to, keys, action)
    }

    fn holds(&self) -> Vec<Hold> {
        let text = |time: Time| time.to_string();
        let show = |hold: vedette_store::Hold| Hold {
            name: hold.name,
            reason: hold.reason,
            source: hold.source,
            from: hold.from.map(text),
            to: hold.to.map(text),
            by: hold.by,
            since: text(hold.since),
        };
        self.store.holds().into_iter().map(show).collect()
    }

    fn hold(&self, hold: Hold, mut action: Action) -> Result<()> {
        action.details.push(("reason", hold.reason.clone()));
        action.details.extend(hold.source.clone().map(|source| ("source", source)));
        action.details.extend(hold.from.clone().map(|from| ("from", from)));
        action.details.extend(hold.to.clone().map(|to| ("to", to)));
        let time = |text: &Option<String>| -> Result<Option<Time>> {
            let parsed = text.as_deref().map(str::parse::<Time>).transpose();
            parsed.map_err(|error| CustodyError::Refused(error.to_string()))
        };
        let name = hold.name.clone();
        let hold = vedette_store::Hold {
            from: time(&hold.from)?,
            to: time(&hold.to)?,
            name: hold.name,
            reason: hold.reason,
            source: hold.source,
            by: action.who.clone(),
            since: action.time,
        };
        // What is being erased is erased before, or kept.
        let _alone = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        self.end_interrupted()?;
        if hold.from.zip(hold.to).is_some_and(|(from, to)| from >= to) {
            return Err(CustodyError::Refused("the hold ends before it begins".into()));
        }
        let is_known = |name: &String| self.spool.ledger().iter().any(|(source, _)| *source.name == **name);
        if let Some(unknown) = hold.source.as_ref().filter(|name| !is_known(name)) {
            return Err(CustodyError::Refused(format!("there is no source `{unknown}`; `vedette sources` lists them")));
        }
        if self.store.holds().iter().any(|known| known.name == name) {
            return Err(CustodyError::Conflict(format!("there is a hold `{name}` already")));
        }
        self.record(&action)?;
        match self.store.hold(hold).map_err(failed)? {
            true => Ok(()),
            false => Err(CustodyError::Conflict(format!("there is a hold `{name}` already"))),
        }
    }

    fn lift(&self, name: &str, action: Action) -> Result<()> {
        self.record(&action)?;
        match self.store.lift(name).map_err(failed)? {
            true => Ok(()),
            false => Err(CustodyError::Conflict(format!("there is no hold `{name}`"))),
        }
    }
}

impl Keeper {
    fn record(&self, action: &Action) -> Result<EventId> {
        self.journal.enter(action).map_err(CustodyError::Failed)
    }
}

fn too_many() -> CustodyError {
    CustodyError::Refused(format!("more than {MAX_EVENTS} events; narrow the search or its time"))
}

fn failed(error: impl std::fmt::Display) -> CustodyError {
    CustodyError::Failed(error.to_string())
}

/// A store's error on its way to one of custody.
struct StoreFailed(CustodyError);

impl From<vedette_store::StoreError> for StoreFailed {
    fn from(error: vedette_store::StoreError) -> Self {
        StoreFailed(failed(error))
    }
}

impl From<StoreFailed> for CustodyError {
    fn from(error: StoreFailed) -> Self {
        error.0
    }
}
