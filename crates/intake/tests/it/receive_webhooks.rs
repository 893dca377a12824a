//! Webhooks whose deliveries carry several events.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use vedette_event::Reason;
use vedette_intake::receive::http::{self, Check, Webhook};

use crate::support::{Answer, Folder, http as request, loopback};

const SOURCE: &str = "webhook:cloud";
const BEFORE: &str = r#"{"webhook":{"name":"cloud"},"#;

fn webhook(check: Check) -> Webhook {
    Webhook { name: "cloud".to_owned(), check, window: Duration::from_secs(60), events: None, parser: None }
}

async fn serve_with(folder: &Folder, webhook: Webhook, deliveries: Arc<http::Deliveries>) -> SocketAddr {
    let options = http::Options { deliveries, ..http::Options::default() };
    let router = http::webhooks(&folder.spool, &options, vec![webhook]);
    let receiver = http::bind(loopback(), http::Version::Http1, router, None, options).await.unwrap();
    let address = receiver.address();
    tokio::spawn(receiver.run(CancellationToken::new()));
    address
}

/// A webhook whose callers say `s3cret`.
async fn serve(folder: &Folder, events: Option<&str>) -> SocketAddr {
    let webhook = webhook(Check::Okta("s3cret".to_owned().into()));
    serve_with(folder, Webhook { events: events.map(str::to_owned), ..webhook }, Arc::default()).await
}

async fn deliver(address: SocketAddr, body: &[u8]) -> Answer {
    request(address, "POST", "/webhooks/cloud", &[("Authorization", "s3cret")], body).await
}

/// The records without what is written before each.
fn events(folder: &Folder) -> Vec<String> {
    let texts = folder.texts(SOURCE);
    texts.iter().map(|text| format!("{{{}", text.strip_prefix(BEFORE).unwrap_or_else(|| panic!("{text}")))).collect()
}

/// Written as no serialiser would, to see that every byte is kept.
const ONE: &str = r#"{ "a" : 1.0, "b":"\u00e9 é }],", "c":[ {"d":null} ],"a":2}"#;
const TWO: &str = "{\"e\":\n{\"records\":[]}}";

#[tokio::test]
async fn every_event_of_a_batch_is_a_record() {
    let cases = [
        ("Azure", None, format!("{{\"records\": [{ONE} ,\n{TWO}] }}")),
        ("CloudTrail", None, format!("\n{{\"Records\":[{ONE},{TWO}]}}\n")),
        (
            "Kubernetes",
            None,
            format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{ONE},{TWO}]}}"#),
        ),
        ("Okta", Some("data.events"), format!(r#"{{"eventType":"x","data":{{"n":1,"events":[{ONE},{TWO}]}}}}"#)),
        ("Event Grid", None, format!(" [ {ONE},{TWO} ]\n")),
        ("named with escapes", Some("lists.one"), format!(r#"{{"li\u0073ts":{{"one":[{ONE},{TWO}]}}}}"#)),
    ];
    for (name, path, body) in cases {
        let folder = Folder::new();
        let answer = deliver(serve(&folder, path).await, body.as_bytes()).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"stored": 2})), "{name}");
        assert_eq!(events(&folder), [ONE, TWO], "{name}");
    }
}

#[tokio::test]
async fn what_only_looks_like_a_batch_is_one_record() {
    let folder = Folder::new();
    let address = serve(&folder, None).await;
    let cases = [
        r#"{"records":[{"a":1}],"next":"page 2"}"#,
        r#"{"records":{"a":1}}"#,
        r#"{"records":[{"a":1},2]}"#,
        r#"{"kind":"Event","items":[{"a":1}]}"#,
        r#"{"kind":"EventList","items":null}"#,
        r#"{"events":[{"a":1}]}"#,
    ];
    for body in cases {
        assert_eq!(deliver(address, body.as_bytes()).await.json(), json!({"stored": 1}), "{body}");
    }
    assert_eq!(events(&folder), cases);
    let nothing = deliver(address, br#"{"records":[]}"#).await;
    assert_eq!((nothing.status, nothing.json()), (200, json!({"stored": 0})));
}

#[tokio::test]
async fn a_list_of_anything_else_is_refused() {
    let folder = Folder::new();
    let address = serve(&folder, None).await;
    let bodies = [r#"[{"a":1},2]"#, "[1]", "[[{}]]", r#"[{"a":1}"#, r#"[{"a":1}] []"#, "[", r#"[{"a":1},]"#];
    for body in bodies {
        assert_eq!(deliver(address, body.as_bytes()).await.status, 400, "{body}");
    }
    assert_eq!((folder.stored(SOURCE), folder.refused(SOURCE, Reason::Malformed)), (0, bodies.len() as u64));
    assert_eq!(deliver(address, b"[]").await.json(), json!({"stored": 0}));
}

/// [Azure's documentation](https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema) shows it so.
const VALIDATION: &str = r#"[{
  "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
  "topic": "/subscriptions/aaaa0a0a-bb1b-cc2c-dd3d-eeeeee4e4e4e",
  "subject": "",
  "data": {
    "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6",
    "validationUrl": "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/myeventsub/validate?id=0000000000-0000-0000-0000-00000000000000&t=2021-09-01T20:30:54.4538837Z&apiVersion=2018-05-01-preview&token=1A1A1A1A"
  },
  "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
  "eventTime": "2021-00-01T22:12:19.4556811Z",
  "metadataVersion": "1",
  "dataVersion": "1"
}]"#;

#[tokio::test]
async fn event_grid_is_told_that_the_address_is_ours_if_it_shows_the_token() {
    let folder = Folder::new();
    let address = serve_with(&folder, webhook(Check::Bearer("t0ken".to_owned().into())), Arc::default()).await;
    let ask = async |token: &str| {
        let headers = [("Authorization", token), ("aeg-event-type", "SubscriptionValidation")];
        request(address, "POST", "/webhooks/cloud", &headers, VALIDATION.as_bytes()).await
    };
    assert_eq!(ask("Bearer guess").await.status, 401);
    let answer = ask("Bearer t0ken").await;
    let expected = json!({"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"});
    assert_eq!((answer.status, answer.json()), (200, expected));
    assert_eq!(folder.stored(SOURCE), 0);
}

#[tokio::test]
async fn what_was_taken_is_known_after_a_restart() {
    let folder = Folder::new();
    let path = folder.path("deliveries.db");
    let serve = async |folder: &Folder| {
        let deliveries = Arc::new(http::Deliveries::open(&path).unwrap());
        serve_with(folder, webhook(Check::Okta("s3cret".to_owned().into())), deliveries).await
    };
    let address = serve(&folder).await;
    assert_eq!(deliver(address, ONE.as_bytes()).await.status, 200);
    assert_eq!(deliver(address, b"[1]").await.status, 400);
    // Other listeners, which share what was taken with nobody but through the file.
    let address = serve(&folder).await;
    assert_eq!(deliver(address, ONE.as_bytes()).await.status, 409);
    assert_eq!(deliver(address, b"[1]").await.status, 400, "what was not taken is no repetition");
    assert_eq!(deliver(address, TWO.as_bytes()).await.status, 200);
    assert_eq!(folder.stored(SOURCE), 2);
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_kept() {
    let folder = Folder::new();
    let address = serve(&folder, None).await;
    let answer = deliver(address, b"{\"records\":[{\"name\":\"\xff\xfe\"},{\"b\":\"\xc3\xa9\"}]}").await;
    assert_eq!(answer.json(), json!({"stored": 2}));
    let expected = [b"\"name\":\"\xff\xfe\"}".to_vec(), b"\"b\":\"\xc3\xa9\"}".to_vec()];
    assert_eq!(folder.records()[SOURCE], expected.map(|rest| [BEFORE.as_bytes(), &rest].concat()));
}

#[tokio::test]
async fn a_delivery_without_the_list_is_refused() {
    let folder = Folder::new();
    let address = serve(&folder, Some("data.events")).await;
    let wrong = [
        r#"{"data":{"events":{"a":1}}}"#,
        r#"{"data":{"events":[{"a":1},7]}}"#,
        r#"{"data":[{"events":[]}]}"#,
        r#"{"data":{}}"#,
        r#"{"records":[{"a":1}]}"#,
    ];
    for body in wrong {
        // The second time as well: it was not taken before.
        for _ in 0..2 {
            let answer = deliver(address, body.as_bytes()).await;
            let reason = json!({"error": "there is no list of objects at `data.events`"});
            assert_eq!((answer.status, answer.json()), (400, reason), "{body}");
        }
    }
    folder.until("refusals are counted", |folder| folder.refused(SOURCE, Reason::Malformed) == 10).await;
    assert_eq!(folder.stored(SOURCE), 0);
}

#[tokio::test]
async fn batches_are_bounded() {
    let folder = Folder::new();
    let address = serve(&folder, None).await;
    let batch = |count: usize, event: &str| format!("{{\"records\":[{}]}}", vec![event; count].join(","));
    let answer = deliver(address, batch(10_001, "{}").as_bytes()).await;
    assert_eq!(answer.status, 413);
    assert!(answer.json()["error"].as_str().unwrap().starts_with("more than 10000 events"));
    assert_eq!(folder.stored(SOURCE), 0);
    assert_eq!(deliver(address, batch(10_000, "{}").as_bytes()).await.json(), json!({"stored": 10_000}));
    // Longer than one record may be.
    let event = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
    assert_eq!(deliver(address, batch(2000, &event).as_bytes()).await.json(), json!({"stored": 2000}));
    assert_eq!(deliver(address, batch(5000, &event).as_bytes()).await.status, 413);
    // One event that is too long does not harm the others.
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let answer = deliver(address, format!("{{\"records\":[{{\"b\":1}},{long},{{\"c\":1}}]}}").as_bytes()).await;
    assert_eq!(answer.status, 413);
    folder.until("it is counted", |folder| folder.refused(SOURCE, Reason::TooLarge) == 1).await;
    assert_eq!(folder.stored(SOURCE), 12_002);
}

#[tokio::test]
async fn a_compressed_delivery_that_is_cut_off_is_refused() {
    let folder = Folder::new();
    let address = serve(&folder, None).await;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(br#"{"records":[{"a":1}]}"#).unwrap();
    encoder.flush().unwrap();
    let flushed = encoder.get_ref().clone();
    let whole = encoder.finish().unwrap();
    let headers = [("Authorization", "s3cret"), ("Content-Encoding", "deflate")];
    for cut in [&flushed[..], &whole[..whole.len() - 1], &whole[..whole.len() / 2]] {
        assert_eq!(request(address, "POST", "/webhooks/cloud", &headers, cut).await.status, 400);
    }
    assert_eq!(request(address, "POST", "/webhooks/cloud", &headers, &whole).await.json(), json!({"stored": 1}));
}
