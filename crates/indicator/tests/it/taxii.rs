//! TAXII 2.1, played with answers as servers give them.

use vedette_indicator::taxii::{Answer, Envelope, Poll, Server, Step, TaxiiError};

fn server(url: &str, collection: &str) -> Server {
    Server { url: url.into(), collection: collection.into(), page: 0 }
}

fn poll(url: &str, collection: &str, cursor: Option<&str>) -> Poll {
    Poll::new(server(url, collection), cursor.map(str::to_owned)).unwrap()
}

fn asked(poll: &Poll) -> String {
    match poll.step() {
        Step::Get(request) => request.url,
        other => panic!("{other:?}"),
    }
}

fn json(body: &str) -> Answer<'_> {
    Answer {
        status: 200,
        content_type: "application/taxii+json;version=2.1",
        body: body.as_bytes(),
        ..Answer::default()
    }
}

const OBJECTS: &str = "objects/?match%5Btype%5D=indicator%2Cmarking-definition";

#[test]
fn a_poll_finds_its_collection_from_wherever_it_begins() {
    let collection = "https://t.example/api2/collections/c-2/";
    let discovery =
        r#"{"title": "t", "api_roots": ["/api1/", "https://t.example/api2", "https://elsewhere.example/"]}"#;
    let mut from_discovery = poll("https://t.example/taxii2/", "Second", None);
    assert_eq!(from_discovery.answer(json(discovery)), Ok(None));
    assert_eq!(asked(&from_discovery), "https://t.example/api1/collections/");
    assert_eq!(
        from_discovery.answer(json(r#"{"collections": [{"id": "c-1", "title": "First", "can_read": true}]}"#)),
        Ok(None)
    );
    assert_eq!(asked(&from_discovery), "https://t.example/api2/collections/");
    let collections =
        r#"{"collections": [{"id": "c-2", "title": "second", "can_read": true}, {"id": "c-3", "can_read": false}]}"#;
    assert_eq!(from_discovery.answer(json(collections)), Ok(None));
    assert_eq!(asked(&from_discovery), format!("{collection}{OBJECTS}"));

    let mut from_root = poll("https://t.example/api2", "", None);
    assert_eq!(
        from_root.answer(json(r#"{"title": "r", "versions": ["application/taxii+json;version=2.1"]}"#)),
        Ok(None)
    );
    assert_eq!(asked(&from_root), "https://t.example/api2/collections/");
    assert_eq!(from_root.answer(json(collections)), Ok(None));
    assert_eq!(asked(&from_root), format!("{collection}{OBJECTS}"));

    for address in
        [collection, "https://t.example/api2/collections/c-2", "https://t.example/api2/collections/c-2/objects/"]
    {
        assert_eq!(asked(&poll(address, "", None)), format!("{collection}{OBJECTS}"));
    }
}

#[test]
fn pages_are_followed_and_the_cursor_is_that_of_the_last() {
    let collection = "https://t.example/a/collections/c/";
    let mut poll = poll(collection, "", Some("2026-11-01T00:00:00Z"));
    let url = format!("{collection}{OBJECTS}&added_after=2026-11-01T00%3A00%3A00Z");
    assert_eq!(asked(&poll), url);
    let page = |body, last| Answer { date_added_last: Some(last), ..json(body) };
    let first = page(r#"{"more": true, "next": "a b", "objects": []}"#, "2026-11-02T00:00:00Z");
    assert_eq!(poll.answer(first), Ok(Some(Envelope { body: first.body, more: true })));
    assert_eq!(asked(&poll), format!("{url}&next=a%20b"));
    // Without `next`, on behind the last time.
    poll.answer(page(r#"{"more": true, "objects": []}"#, "2026-11-03T00:00:00Z")).unwrap();
    assert_eq!(asked(&poll), format!("{collection}{OBJECTS}&added_after=2026-11-03T00%3A00%3A00Z"));
    // A time that goes back moves nothing.
    poll.answer(page("{}", "2026-10-01T00:00:00Z")).unwrap();
    assert_eq!(poll.step(), Step::Done { cursor: Some("2026-11-03T00:00:00Z".into()) });
    assert_eq!(poll.answer(json("{}")), Err(TaxiiError::Unasked));
}

#[test]
fn a_poll_without_anything_new_keeps_its_cursor() {
    let mut poll = poll("https://t.example/a/collections/c/", "", Some("2026-11-01T00:00:00Z"));
    poll.answer(json("{}")).unwrap();
    assert_eq!(poll.step(), Step::Done { cursor: Some("2026-11-01T00:00:00Z".into()) });
}

#[test]
fn a_busy_server_is_waited_for_a_few_times() {
    let mut poll = poll("https://t.example/a/collections/c/", "", None);
    let busy = |retry_after| Answer { status: 429, retry_after, ..Answer::default() };
    for (retry_after, want) in [
        (Some("7"), 7),
        (None, 60),
        (Some("Fri, 20 Nov 2026 00:00:00 GMT"), 60),
        (Some("999999"), 3_600),
        (Some("0"), 1),
    ] {
        assert_eq!(poll.answer(busy(retry_after)), Ok(None));
        assert!(matches!(poll.step(), Step::Wait { seconds, .. } if seconds == want));
    }
    assert!(matches!(poll.answer(busy(None)), Err(TaxiiError::Status { status: 429, .. })));
}

#[test]
fn what_is_wrong_is_said() {
    let start = || poll("https://t.example/taxii2/", "x", None);
    let told = |answer: Answer<'_>| start().answer(answer).unwrap_err().to_string();
    let url = "https://t.example/taxii2/";
    assert_eq!(
        told(Answer { status: 401, ..Answer::default() }),
        format!("the server refuses the credentials (401) for {url}")
    );
    let problem = Answer { status: 500, body: br#"{"title": "broken"}"#, ..Answer::default() };
    assert_eq!(told(problem), format!("the server answers 500 for {url}: broken"));
    assert_eq!(told(Answer { status: 302, ..Answer::default() }), format!("the server answers 302 for {url}"));
    let page = Answer { content_type: "text/html", ..json("<html>") };
    assert_eq!(told(page), format!("{url} is not TAXII 2.1: the answer is `text/html`"));
    assert!(told(json("{")).starts_with(&format!("{url} is not TAXII 2.1: the answer cannot be read: EOF")));
    assert_eq!(told(json("{}")), format!("{url} is not TAXII 2.1: neither a discovery with API roots nor an API root"));
    let elsewhere = r#"{"api_roots": ["https://elsewhere.example/"]}"#;
    assert_eq!(
        told(json(elsewhere)),
        format!(
            "{url} is not TAXII 2.1: its API roots are elsewhere, for example `https://elsewhere.example/`; configure that address itself"
        )
    );

    let mut none = start();
    none.answer(json(r#"{"default": "/api/"}"#)).unwrap();
    let collections = r#"{"collections": [{"id": "1", "title": "A", "can_read": true}, {"id": "x", "title": "B"}, {"id": "../x", "title": "C", "can_read": true}]}"#;
    assert_eq!(
        none.answer(json(collections)).unwrap_err().to_string(),
        "no readable collection `x`; there are: A (1), C (../x)"
    );

    assert!(matches!(Poll::new(server("taxii.example", ""), None), Err(TaxiiError::Address(_))));
    assert!(matches!(Poll::new(server("https://t.example/", ""), Some("5".into())), Err(TaxiiError::Cursor(_))));
}

#[test]
fn pages_that_do_not_end_are_left() {
    let start = || poll("https://t.example/a/collections/c/", "", None);
    let mut same = start();
    same.answer(json(r#"{"more": true, "next": "n"}"#)).unwrap();
    assert!(matches!(same.answer(json(r#"{"more": true, "next": "n"}"#)), Err(TaxiiError::Endless(_))));
    assert!(matches!(start().answer(json(r#"{"more": true}"#)), Err(TaxiiError::Endless(_))));
    // One name for the whole walk, as OASIS' own server gives it.
    let mut walk = start();
    for object in 1..4 {
        let page = format!(r#"{{"more": true, "next": "n", "objects": [{object}]}}"#);
        assert!(walk.answer(json(&page)).unwrap().is_some_and(|page| page.more));
    }
    let mut many = start();
    let ended =
        (0..20_000).find_map(|number| many.answer(json(&format!(r#"{{"more": true, "next": "{number}"}}"#))).err());
    assert_eq!(ended, Some(TaxiiError::Endless("more than 10000".into())));
}
