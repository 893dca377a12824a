//! Evidence, erasure and legal holds over the API: who may, and what is refused.

use serde_json::json;

use crate::support::{As, server};

#[tokio::test]
async fn who_may_do_what() {
    let server = server();
    let (read, write, admin) = (server.token("read"), server.token("write"), server.token("admin"));
    let query = json!({"query": "a b"}).to_string();
    let erase = json!({"query": "a", "reason": "they asked"}).to_string();
    let hold = json!({"name": "case 7"}).to_string();
    server.send(As::Token(&read), "POST", "/api/v1/evidence", query.clone()).await.expect(403);
    let bundle = server.send(As::Token(&write), "POST", "/api/v1/evidence", query).await.expect(200);
    assert_eq!((&*bundle.text, &bundle.headers["content-type"]), ("a b", &"application/octet-stream".parse().unwrap()));
    server.send(As::Token(&write), "POST", "/api/v1/erasure", erase.clone()).await.expect(403);
    server.send(As::Token(&write), "POST", "/api/v1/holds", hold.clone()).await.expect(403);

    let me = As::Token(&admin);
    let erased = server.send(me.clone(), "POST", "/api/v1/erasure", erase.clone()).await.expect(200).json();
    assert_eq!(erased, json!({"events": 1, "held": 0, "quoted_by": []}));
    server.send(me.clone(), "POST", "/api/v1/holds", hold).await.expect(200);
    let holds = server.send(As::Token(&read), "GET", "/api/v1/holds", "").await.expect(200).json();
    assert_eq!(holds["holds"][0]["name"], "case 7");
    assert_eq!(holds["holds"][0]["by"], "token:3:ada");
    server.send(me.clone(), "POST", "/api/v1/erasure", erase).await.expect(409);
    server.send(As::Token(&write), "DELETE", "/api/v1/holds/case%207", "").await.expect(403);
    server.send(me.clone(), "DELETE", "/api/v1/holds/case%207", "").await.expect(200);
    server.send(me.clone(), "DELETE", "/api/v1/holds/case%207", "").await.expect(409);

    for (path, body) in [
        ("evidence", json!({"query": " "})),
        ("evidence", json!({"query": "a", "from": "soon"})),
        ("holds", json!({"name": ""})),
        ("holds", json!({"name": "a/b"})),
        ("holds", json!({"name": "a", "to": "soon"})),
    ] {
        server.send(me.clone(), "POST", &format!("/api/v1/{path}"), body.to_string()).await.expect(422);
    }
}
