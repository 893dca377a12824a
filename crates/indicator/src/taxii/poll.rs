//! One poll of a collection: discovery, API root, collections, and the pages of objects.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use serde::Deserialize;
use vedette_event::Time;

use super::url;

/// What TAXII 2.1 calls itself (section 1.6.8).
const MEDIA_TYPE: &str = "application/taxii+json;version=2.1";
/// Largest body, in bytes; whoever fetches should stop there too.
pub const MAX_BODY: usize = 64 << 20;
/// Most pages of one poll.
const MAX_PAGES: usize = 10_000;
/// Most times that a poll is put off by the server before it fails.
const MAX_WAITS: u32 = 5;
/// Longest time that a server may ask to wait, in seconds; and how long it is waited where it names none.
const MAX_WAIT_SECONDS: u64 = 3_600;
const WAIT_SECONDS: u64 = 60;
/// Longest `next` of an envelope, in bytes.
const MAX_NEXT: usize = 8 << 10;
/// Most API roots and collections that are looked through.
const MAX_ROOTS: usize = 32;

/// Where indicators are fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The address of the discovery, of an API root, or of a collection (`…/collections/<id>/`).
    pub url: String,
    /// The collection's id, alias or title; may be empty if the address is one's or there is only one.
    pub collection: String,
    /// How many objects to ask for at once; 0 leaves it to the server.
    pub page: u32,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send a GET request, then [`Poll::answer`].
    Get(Request),
    /// Wait so long, then send the request again.
    Wait {
        /// Seconds.
        seconds: u64,
        /// The request.
        request: Request,
    },
    /// All pages are there. When all that was handed out is kept, remember the cursor; the next poll begins behind it.
    Done {
        /// The cursor; none if the collection is empty and always was.
        cursor: Option<String>,
    },
}

/// A GET request; redirects are not to be followed, since credentials are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The address.
    pub url: String,
    /// The header `Accept`.
    pub accept: &'static str,
}

/// What came back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The header `Content-Type`, or nothing.
    pub content_type: &'a str,
    /// The header `X-TAXII-Date-Added-Last`.
    pub date_added_last: Option<&'a str>,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The body, unpacked.
    pub body: &'a [u8],
}

/// A page of objects, to be read with [`Format::Stix`](crate::Format::Stix).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Its bytes.
    pub body: &'a [u8],
    /// Whether more pages follow.
    pub more: bool,
}

/// Why a poll failed. It changed nothing: the next one begins at the same cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaxiiError {
    /// The configured address.
    #[error("`{0}` is not an http or https address")]
    Address(String),
    /// The remembered cursor.
    #[error("`{0}` is not a cursor: an RFC 3339 time")]
    Cursor(String),
    /// 401 or 403.
    #[error("the server refuses the credentials ({status}) for {url}")]
    Credentials {
        /// The status.
        status: u16,
        /// The address asked for.
        url: String,
    },
    /// Any other status that is no success.
    #[error("the server answers {status} for {url}{title}")]
    Status {
        /// The status.
        status: u16,
        /// The address asked for.
        url: String,
        /// What the server says about it, behind `: `.
        title: String,
    },
    /// Not TAXII 2.1.
    #[error("{url} is not TAXII 2.1: {reason}")]
    Protocol {
        /// The address asked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// No such collection.
    #[error("no readable collection `{wanted}`; there are: {found}")]
    Collection {
        /// Which was looked for.
        wanted: String,
        /// Which there are.
        found: String,
    },
    /// The server sends the same page, or pages without end.
    #[error("the server's pages do not end: {0}")]
    Endless(String),
    /// An answer without a request.
    #[error("nothing was asked for")]
    Unasked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The address may be a discovery's, an API root's or a collection's: what it answers tells.
    First,
    /// API roots of which one has the collection; the first is asked for what it has.
    Roots(Vec<String>),
    /// An address of a collection, ending in `/`.
    Objects {
        collection: String,
        next: Option<String>,
        added_after: Option<String>,
        pages: usize,
    },
    Done,
}

/// One poll.
#[derive(Clone, Debug)]
pub struct Poll {
    server: Server,
    stage: Stage,
    /// Where this poll began.
    begin: Option<String>,
    /// The newest `X-TAXII-Date-Added-Last` so far.
    newest: Option<String>,
    /// A hash of the last page.
    last_page: Option<u64>,
    waits: u32,
    wait: Option<u64>,
    /// The collections that were met, for the error.
    met: Vec<String>,
}

impl Poll {
    /// A poll that begins behind a cursor.
    ///
    /// # Errors
    /// If the address or the cursor is not one.
    pub fn new(server: Server, cursor: Option<String>) -> Result<Poll, TaxiiError> {
        if url::split(&server.url).is_none() {
            return Err(TaxiiError::Address(server.url));
        }
        if let Some(cursor) = cursor.as_ref().filter(|cursor| cursor.parse::<Time>().is_err()) {
            return Err(TaxiiError::Cursor(cursor.clone()));
        }
        let mut poll = Poll {
            stage: Stage::First,
            begin: cursor.clone(),
            newest: cursor,
            last_page: None,
            waits: 0,
            wait: None,
            met: Vec::new(),
            server,
        };
        if let Some(collection) = collection_address(&poll.server.url) {
            poll.stage = poll.objects_of(collection);
        }
        Ok(poll)
    }

    /// What is to be done next; the same until there is an answer.
    pub fn step(&self) -> Step {
        match (self.request(), self.wait) {
            (None, _) => Step::Done { cursor: self.newest.clone() },
            (Some(request), None) => Step::Get(request),
            (Some(request), Some(seconds)) => Step::Wait { seconds, request },
        }
    }

    fn request(&self) -> Option<Request> {
        let url = match &self.stage {
            Stage::First => url::folder(&self.server.url),
            Stage::Roots(roots) => format!("{}collections/", roots.first()?),
            Stage::Objects { collection, next, added_after, .. } => {
                let mut url = format!("{collection}objects/?match%5Btype%5D=indicator%2Cmarking-definition");
                let mut add = |name: &str, value: &str| url.push_str(&format!("&{name}={}", url::encoded(value)));
                if self.server.page > 0 {
                    add("limit", &self.server.page.to_string());
                }
                if let Some(added_after) = added_after {
                    add("added_after", added_after);
                }
                if let Some(next) = next {
                    add("next", next);
                }
                url
            }
            Stage::Done => return None,
        };
        Some(Request { url, accept: MEDIA_TYPE })
    }

    /// Takes the answer to the request that [`step`](Self::step) gave. What it hands back is to be kept before the cursor is remembered.
    ///
    /// # Errors
    /// If the poll cannot go on; begin another one later.
    pub fn answer<'a>(&mut self, answer: Answer<'a>) -> Result<Option<Envelope<'a>>, TaxiiError> {
        let asked = self.request().ok_or(TaxiiError::Unasked)?.url;
        self.wait = None;
        match answer.status {
            200 | 206 => {}
            429 | 503 if self.waits < MAX_WAITS => {
                self.waits += 1;
                let seconds =
                    answer.retry_after.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(WAIT_SECONDS);
                self.wait = Some(seconds.clamp(1, MAX_WAIT_SECONDS));
                return Ok(None);
            }
            status @ (401 | 403) => return Err(TaxiiError::Credentials { status, url: asked }),
            // A root may be gone or not for us; another one may have the collection.
            404 | 406 if self.leave_root() => return Ok(None),
            status => {
                let title = serde_json::from_slice::<Problem>(&answer.body[..answer.body.len().min(64 << 10)]);
                let title = title.map_or(String::new(), |problem| format!(": {}", cut(&problem.title)));
                return Err(TaxiiError::Status { status, url: asked, title });
            }
        }
        self.waits = 0;
        let wrong = |reason: String| TaxiiError::Protocol { url: asked.clone(), reason };
        if answer.body.len() > MAX_BODY {
            return Err(wrong("an answer larger than 64 MiB".to_owned()));
        }
        let kind = answer.content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if !matches!(kind.as_str(), "application/taxii+json" | "application/json" | "application/vnd.oasis.taxii+json")
        {
            return Err(wrong(format!("the answer is `{}`", cut(answer.content_type))));
        }
        let not_json = |error: serde_json::Error| wrong(format!("the answer cannot be read: {error}"));
        match self.stage.clone() {
            Stage::First => {
                let first: First = serde_json::from_slice(answer.body).map_err(not_json)?;
                self.stage = Stage::Roots(self.roots(&asked, first).map_err(wrong)?);
                Ok(None)
            }
            Stage::Roots(roots) => {
                let found: Collections = serde_json::from_slice(answer.body).map_err(not_json)?;
                self.choose(&roots, found.collections)
            }
            Stage::Objects { collection, next, added_after, pages } => {
                let page: Page = serde_json::from_slice(answer.body).map_err(not_json)?;
                // Some servers call the whole walk `next`, not the page.
                let hash = FixedState::default().hash_one(answer.body);
                let is_repeated = self.last_page.replace(hash) == Some(hash);
                let next = next.filter(|_| is_repeated);
                self.turn(collection, next, added_after, pages + 1, &page, answer.date_added_last)?;
                Ok(Some(Envelope { body: answer.body, more: page.more }))
            }
            Stage::Done => Err(TaxiiError::Unasked),
        }
    }

    fn roots(&self, asked: &str, first: First) -> Result<Vec<String>, String> {
        // An API root says which versions it speaks; the discovery says which roots there are.
        if first.versions.is_some() {
            return Ok(vec![url::folder(asked)]);
        }
        let named: Vec<String> = first.default.into_iter().chain(first.api_roots.unwrap_or_default()).collect();
        if named.is_empty() {
            return Err("neither a discovery with API roots nor an API root".to_owned());
        }
        let mut roots: Vec<String> = Vec::new();
        for root in named.iter().filter_map(|root| url::own(asked, root)).map(|root| url::folder(&root)) {
            if !roots.contains(&root) && roots.len() < MAX_ROOTS {
                roots.push(root);
            }
        }
        if roots.is_empty() {
            return Err(format!(
                "its API roots are elsewhere, for example `{}`; configure that address itself",
                cut(&named[0])
            ));
        }
        Ok(roots)
    }

    fn choose<'a>(
        &mut self,
        roots: &[String],
        collections: Vec<Collection>,
    ) -> Result<Option<Envelope<'a>>, TaxiiError> {
        let wanted = self.server.collection.trim().to_owned();
        let is_it = |collection: &&Collection| {
            collection.can_read
                && [Some(&collection.id), Some(&collection.title), collection.alias.as_ref()]
                    .into_iter()
                    .flatten()
                    .any(|name| name.eq_ignore_ascii_case(&wanted))
        };
        let readable: Vec<&Collection> = collections.iter().filter(|collection| collection.can_read).collect();
        let chosen = match (wanted.is_empty(), readable.as_slice()) {
            (true, [only]) if roots.len() == 1 => Some(*only),
            (true, _) => None,
            (false, _) => collections.iter().find(is_it),
        };
        let is_plain = |id: &str| {
            !id.is_empty()
                && id.len() <= 256
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        if let Some(chosen) = chosen.filter(|chosen| is_plain(&chosen.id) && !chosen.id.starts_with('.')) {
            let collection = format!("{}collections/{}/", roots[0], chosen.id);
            self.stage = self.objects_of(collection);
            return Ok(None);
        }
        let names = readable.iter().map(|collection| format!("{} ({})", cut(&collection.title), cut(&collection.id)));
        self.met.extend(names.take(MAX_ROOTS.saturating_sub(self.met.len())));
        if self.leave_root() {
            return Ok(None);
        }
        let found = if self.met.is_empty() { "none".to_owned() } else { self.met.join(", ") };
        Err(TaxiiError::Collection { wanted, found })
    }

    /// Goes on with the next API root, if there is one.
    fn leave_root(&mut self) -> bool {
        match &mut self.stage {
            Stage::Roots(roots) if roots.len() > 1 => {
                roots.remove(0);
                true
            }
            _ => false,
        }
    }

    fn objects_of(&self, collection: String) -> Stage {
        Stage::Objects { collection, next: None, added_after: self.begin.clone(), pages: 0 }
    }

    /// Behind a page: on to the next one, or done.
    fn turn(
        &mut self,
        collection: String,
        next: Option<String>,
        added_after: Option<String>,
        pages: usize,
        page: &Page,
        last: Option<&str>,
    ) -> Result<(), TaxiiError> {
        let time = |text: &str| text.parse::<Time>().ok();
        // Objects come in the order in which they were added (section 3.4), so the newest page's time is the cursor. It never goes back.
        let last = last.map(str::trim).filter(|last| time(last).is_some());
        let is_newer = |last: &&str| self.newest.as_deref().and_then(time) < time(last);
        if let Some(last) = last.filter(is_newer) {
            self.newest = Some(last.to_owned());
        }
        if !page.more {
            self.stage = Stage::Done;
            return Ok(());
        }
        if pages >= MAX_PAGES {
            return Err(TaxiiError::Endless(format!("more than {MAX_PAGES}")));
        }
        let following = match (&page.next, last) {
            (Some(new), _) if new.len() > MAX_NEXT => {
                return Err(TaxiiError::Endless("`next` is longer than 8 KiB".to_owned()));
            }
            (Some(new), _) if Some(new) != next.as_ref() => (Some(new.clone()), added_after),
            (Some(_), _) => return Err(TaxiiError::Endless("the same page again".to_owned())),
            // Without `next`, the pages go on behind the last object's time (section 3.5).
            (None, Some(last)) if added_after.as_deref().and_then(time) < time(last) => (None, Some(last.to_owned())),
            (None, _) => return Err(TaxiiError::Endless("`more` without a `next` or a later time".to_owned())),
        };
        self.stage = Stage::Objects { collection, next: following.0, added_after: following.1, pages };
        Ok(())
    }
}

/// The address of a collection within one of its own or of its objects.
fn collection_address(address: &str) -> Option<String> {
    let (origin, path) = url::split(address)?;
    let path = path.split('?').next()?.trim_end_matches('/');
    let path = path.strip_suffix("/objects").unwrap_or(path);
    let (before, id) = path.rsplit_once('/')?;
    (before.ends_with("/collections") && !id.is_empty()).then(|| format!("{origin}{path}/"))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}

#[derive(Deserialize)]
struct First {
    default: Option<String>,
    api_roots: Option<Vec<String>>,
    versions: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Collections {
    // A root without collections leaves the list out.
    #[serde(default)]
    collections: Vec<Collection>,
}

#[derive(Deserialize)]
struct Collection {
    id: String,
    #[serde(default)]
    title: String,
    alias: Option<String>,
    #[serde(default)]
    can_read: bool,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    more: bool,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
}
