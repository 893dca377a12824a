//! The console's files.

use std::{fs, io::Write, os::unix::fs::symlink, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use vedette_server::{Asset, Console};

use crate::support::{Answer, As, FakeRooms, Server, server, server_with};

const INDEX: &str = "<!doctype html><script type=module src=/assets/main-4d1f.js></script>";
const CSP: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn gzip(text: &str) -> &'static [u8] {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().leak()
}

/// The way it is in a binary.
fn embedded() -> Server {
    let assets = vec![
        Asset { path: "index.html", gzip: false, bytes: INDEX.as_bytes() },
        Asset { path: "assets/main-4d1f.js", gzip: true, bytes: gzip("console.log(1)") },
        Asset { path: "favicon.svg", gzip: false, bytes: b"<svg/>" },
    ];
    server_with(Arc::new(FakeRooms::default()), Console::embedded(assets.leak()))
}

async fn get(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    server.send(As::Headers(headers), "GET", path, "").await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn every_page_is_the_application_and_never_out_of_date() {
    let server = embedded();
    for path in ["/", "/setup?token=x", "/alerts/17", "/entity/host/web1.example.org", "/%2e%2e/%2e%2e/etc/passwd"] {
        let page = get(&server, path, &[]).await.expect(200);
        assert_eq!(page.text, INDEX, "{path}");
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&page, "content-security-policy"), CSP);
        assert_eq!(header(&page, "cache-control"), "no-cache");
        for name in ["x-frame-options", "referrer-policy", "cross-origin-opener-policy", "permissions-policy"] {
            assert!(!header(&page, name).is_empty(), "{path}: {name}");
        }
        let etag = header(&page, "etag").to_owned();
        let again = get(&server, path, &[("if-none-match", &format!("\"other\", {etag}"))]).await.expect(304);
        assert_eq!((again.text.as_str(), header(&again, "etag")), ("", etag.as_str()));
    }
}

#[tokio::test]
async fn files_with_hashed_names_are_kept_and_come_compressed() {
    let server = embedded();
    let plain = get(&server, "/assets/main-4d1f.js", &[]).await.expect(200);
    assert_eq!((plain.text.as_str(), header(&plain, "content-encoding")), ("console.log(1)", ""));
    assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&plain, "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header(&plain, "vary"), "accept-encoding");
    let head =
        server.send(As::Headers(vec![("accept-encoding", "br, gzip".to_owned())]), "HEAD", "/assets/main-4d1f.js", "");
    let head = head.await.expect(200);
    assert_eq!((head.text.as_str(), header(&head, "content-encoding")), ("", "gzip"));
    assert_eq!(header(&head, "content-length"), gzip("console.log(1)").len().to_string());
    assert_eq!(header(&get(&server, "/favicon.svg", &[]).await, "content-type"), "image/svg+xml");
    // A page that is still open after an upgrade must learn that its script has gone.
    let gone = get(&server, "/assets/main-0000.js", &[]).await.expect(404);
    assert!(!gone.text.contains("type=module"));
}

#[tokio::test]
async fn the_api_and_the_plain_pages_stay_what_they_are() {
    let server = embedded();
    let nothing = get(&server, "/api/v1/nothing", &[]).await.expect(404);
    assert_eq!(header(&nothing, "content-type"), "application/problem+json");
    server.send(As::Browser(None), "POST", "/alerts/1/close", "").await.expect(404);
    let plain = get(&server, "/plain", &[]).await.expect(303);
    assert_eq!(header(&plain, "location"), "/plain/login");
    let log_in = get(&server, "/plain/login", &[]).await.expect(200);
    assert!(header(&log_in, "content-security-policy").starts_with("default-src 'none';"));
    assert_eq!(header(&get(&server, "/plain/", &[]).await.expect(303), "location"), "/plain");
    get(&server, "/plain/nothing", &[]).await.expect(404);
    let cookie = server.log_in().await;
    let overview = server.send(As::Browser(Some(&cookie)), "GET", "/plain", "").await.expect(200);
    assert!(!overview.text.contains("npm run build") && overview.text.contains("href=\"/\""), "{}", overview.text);
}

#[tokio::test]
async fn without_a_console_the_plain_pages_are_shown_and_say_how_to_build_it() {
    let server = server();
    for (path, plain) in [
        ("/", "/plain"),
        ("/setup?token=a%26b", "/plain/setup?token=a%26b"),
        ("/alerts/17", "/plain/alerts/17"),
        ("/search?q=a+b", "/plain/search?q=a+b"),
    ] {
        assert_eq!(header(&get(&server, path, &[]).await.expect(303), "location"), plain);
    }
    get(&server, "/nothing", &[]).await.expect(404);
    get(&server, "//evil.example/", &[]).await.expect(303);
    let cookie = server.log_in().await;
    let overview = server.send(As::Browser(Some(&cookie)), "GET", "/plain", "").await.expect(200);
    assert!(overview.text.contains("npm run build") && overview.text.contains("--console-dir"), "{}", overview.text);
}

#[tokio::test]
async fn a_folder_gives_its_own_files_and_no_others() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.txt"), "classified").unwrap();
    let dir = outside.path().join("dist");
    fs::create_dir_all(dir.join("assets")).unwrap();
    assert!(Console::folder(&dir).unwrap_err().contains("build the console first"));
    fs::write(dir.join("index.html"), INDEX).unwrap();
    fs::write(dir.join("assets/a.css"), "a{}").unwrap();
    fs::write(dir.join(".hidden"), "classified").unwrap();
    symlink("../secret.txt", dir.join("link.txt")).unwrap();
    let server = server_with(Arc::new(FakeRooms::default()), Console::folder(&dir).unwrap());
    assert_eq!(get(&server, "/assets/a.css", &[]).await.expect(200).text, "a{}");
    for path in
        ["/../secret.txt", "/..%2fsecret.txt", "/link.txt", "/.hidden", "/assets/../../secret.txt", "//secret.txt"]
    {
        let answer = get(&server, path, &[]).await;
        assert!(!answer.text.contains("classified") && matches!(answer.status.as_u16(), 200 | 404), "{path}");
    }
    // It is looked at with every request.
    fs::write(dir.join("index.html"), "newer").unwrap();
    assert_eq!(get(&server, "/", &[]).await.expect(200).text, "newer");
    fs::remove_file(dir.join("index.html")).unwrap();
    get(&server, "/", &[]).await.expect(404);
}
