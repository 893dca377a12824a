//! Names and values of fields, events over time, files.

use serde_json::json;
use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
use vedette_query::TopValue;

use crate::support::{As, server};

#[tokio::test]
async fn fields_are_the_core_and_what_was_seen() {
    let server = server();
    let read = server.token("read");
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    for (seq, size) in [1, 2].into_iter().enumerate() {
        batch.begin(seq as u64, Time::from_secs(0), b"x");
        batch.push("user.name", Value::Str("ada"));
        batch.push("app.size", Value::Int(size));
        batch.push("app.peer", Value::Str("192.0.2.7"));
        batch.push("app.nothing", Value::Null);
    }
    *server.rooms.batches.lock().unwrap() = vec![batch.finish()];
    let fields = server.send(As::Token(&read), "GET", "/api/v1/fields", "").await.expect(200).json();
    let field = |name: &str| fields["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned();
    assert_eq!(field("@timestamp").unwrap()["type"], "time");
    assert_eq!(field("user.name").unwrap(), json!({"name": "user.name", "type": "text", "core": true}));
    assert_eq!(field("app.size").unwrap(), json!({"name": "app.size", "type": "integer", "core": false}));
    assert_eq!(field("app.peer").unwrap()["type"], "ip");
    assert_eq!(field("app.nothing"), None);
    assert_eq!(server.rooms.asked.lock().unwrap()[0].limit, 2000);
}

#[tokio::test]
async fn values_are_counted_one_by_one() {
    let server = server();
    let read = server.token("read");
    let value = |value, count| TopValue { value, count };
    *server.rooms.values.lock().unwrap() =
        vec![value(json!(null), 9), value(json!(["one", "two"]), 3), value(json!("two"), 2), value(json!("three"), 2)];
    let get = async |more: &str| {
        server.send(As::Token(&read), "GET", &format!("/api/v1/fields/values?field=tags{more}"), "").await
    };
    let all = get("&query=a").await.expect(200).json();
    let expected = json!([{"value": "two", "count": 5}, {"value": "one", "count": 3}, {"value": "three", "count": 2}]);
    assert_eq!((&all["values"], &all["complete"]), (&expected, &json!(true)));
    let some = get("&prefix=T&limit=1").await.expect(200).json();
    assert_eq!((&some["values"], &some["complete"]), (&json!([{"value": "two", "count": 5}]), &json!(false)));
    get("&limit=1001").await.expect(422);
    get("&nosuch=1").await.expect(400);
    let action = server.journal.actions.lock().unwrap()[0].clone();
    assert_eq!(action.what, "query.values");
    assert!(action.details.contains(&("field", "tags".into())) && action.details.contains(&("query", "a".into())));
}

#[tokio::test]
async fn events_are_counted_over_time() {
    let server = server();
    let read = server.token("read");
    let count = async |body: serde_json::Value| {
        server.send(As::Token(&read), "POST", "/api/v1/search/histogram", body.to_string()).await
    };
    let body = json!({"query": "a", "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:03:00Z"});
    let found = count(body).await.expect(200).json();
    assert_eq!((&found["total"], &found["bucket_ms"], &found["partial"]), (&json!(3), &json!(60_000), &json!(false)));
    assert_eq!(found["buckets"][2], json!({"at": "1970-01-01T00:02:00.000000Z", "count": 1}));
    let nothing = count(json!({})).await.expect(200).json();
    assert_eq!((&nothing["total"], &nothing["buckets"], &nothing["to"]), (&json!(0), &json!([]), &nothing["from"]));
    for wrong in [
        json!({"buckets": 0}),
        json!({"buckets": 201}),
        json!({"from": "yesterday"}),
        json!({"from": "1970-01-01T00:03:00Z", "to": "1970-01-01T00:03:00Z"}),
    ] {
        count(wrong).await.expect(422);
    }
    assert_eq!(server.journal.lines().len(), 2);
}

#[tokio::test]
async fn answers_are_downloaded_as_files() {
    let server = server();
    let read = server.token("read");
    let export = async |format: &str, body: serde_json::Value| {
        server.send(As::Token(&read), "POST", &format!("/api/v1/search?format={format}"), body.to_string()).await
    };
    let file = export("csv", json!({"query": "a", "columns": ["b", "c"]})).await.expect(200);
    assert_eq!(file.text, "Csv Some([\"b\", \"c\"])\nrows");
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"vedette-1790000000.csv\"");
    let file = export("parquet", json!({"limit": 5})).await.expect(200);
    assert_eq!(
        (file.text.as_str(), &file.headers["content-type"]),
        ("Parquet None\nrows", &"application/vnd.apache.parquet".parse().unwrap())
    );
    {
        let asked = server.rooms.asked.lock().unwrap();
        assert_eq!((asked[0].limit, asked[1].limit), (usize::MAX, 5));
    }
    export("csv", json!({"query": "wrong"})).await.expect(422);
    export("csv", json!({"columns": []})).await.expect(422);
    let broken = export("csv", json!({"query": "breaks"})).await.expect(200);
    assert!(broken.text.starts_with("broken off"), "{}", broken.text);
    assert_eq!(server.journal.actions.lock().unwrap()[0].what, "query.export");
}
