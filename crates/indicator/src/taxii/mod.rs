//! TAXII 2.1 (OASIS, 10 June 2021) as a dialogue without sockets: it says what to request, and is told what came back.
//!
//! ```
//! use vedette_indicator::taxii::{Answer, Poll, Server, Step};
//!
//! let server = Server { url: "https://taxii.example/taxii2/".into(), collection: "Indicators".into(), page: 1_000 };
//! let mut poll = Poll::new(server, None).unwrap();
//! let Step::Get(request) = poll.step() else { panic!() };
//! assert_eq!(request.url, "https://taxii.example/taxii2/");
//! assert_eq!(request.accept, "application/taxii+json;version=2.1");
//!
//! let json = |body: &'static str| Answer { status: 200, content_type: request.accept, body: body.as_bytes(), ..Answer::default() };
//! poll.answer(json(r#"{"title": "An example", "default": "/api/"}"#)).unwrap();
//! poll.answer(json(r#"{"collections": [{"id": "1-2-3", "title": "Indicators", "can_read": true}]}"#)).unwrap();
//! let Step::Get(request) = poll.step() else { panic!() };
//! assert_eq!(request.url, "https://taxii.example/api/collections/1-2-3/objects/?match%5Btype%5D=indicator%2Cmarking-definition&limit=1000");
//!
//! // An envelope is kept, and read with `Format::Stix`; the cursor is remembered once all are.
//! let last = "2026-11-21T04:11:52.000000Z";
//! let page = Answer { date_added_last: Some(last), ..json(r#"{"objects": []}"#) };
//! assert!(poll.answer(page).unwrap().is_some());
//! assert_eq!(poll.step(), Step::Done { cursor: Some(last.into()) });
//! ```

mod poll;
mod url;

pub use poll::{Answer, Envelope, MAX_BODY, Poll, Request, Server, Step, TaxiiError};
