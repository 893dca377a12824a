//! Settings and parsers that are changed through the API, in the running binary.

use std::{io::Write, net::TcpStream};

use serde_json::json;

use crate::harness::{OTHERS, RECEIVERS, Running, folder, wait_until};

const PARSER: &str = "parser: our-app
about: what our app says
version: 1
module: our
dataset: our.app
select:
  programs: [ourapp]
steps:
  - grok:
      match: ['user %{TOKEN:user.name} did %{TOKEN:event.action}']
";

#[test]
fn settings_and_parsers_are_kept() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let (_, settings) = running.api("GET", "/api/v1/settings", "");
    assert_eq!(settings["retention"], json!({"max_age_days": 90, "max_bytes": null, "max_disk_percent": 80}));
    let address = running.address("syslog-tcp").to_string();
    let receiver = json!({"kind": "syslog-tcp", "address": address, "tls": false});
    assert!(settings["receivers"].as_array().expect("receivers").contains(&receiver), "{settings}");
    assert!(settings["config_file"].as_str().is_some_and(|file| file.ends_with("vedette.yml")), "{settings}");
    let put = |days: u32| {
        let body = json!({"max_age_days": days, "max_bytes": 1_000_000_000, "max_disk_percent": 70}).to_string();
        running.api("PUT", "/api/v1/settings/retention", &body)
    };
    assert_eq!(put(0).0, 422);
    assert_eq!((put(7).0, put(7).1["retention"]["max_age_days"].clone()), (200, json!(7)));

    let line = "<38>Nov 21 04:11:52 web1 ourapp: user ada did jump";
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    writeln!(stream, "{line}").expect("sent");
    running.wait_for_count(&format!("ourapp {OTHERS}"), 1);
    let trial = json!({"text": PARSER, "lines": ["Nov 21 04:11:52 web1 ourapp: user ada did jump", "x"]}).to_string();
    let (_, tried) = running.api("POST", "/api/v1/parsers/check", &trial);
    assert_eq!((&tried["loads"], &tried["results"][0]["parser"]), (&json!(true), &json!("our-app@1")), "{tried}");
    assert_eq!(tried["results"][0]["fields"]["event.action"], "jump", "{tried}");
    assert_ne!(tried["results"][1]["parser"], "our-app@1");
    let text = |text: &str| json!({ "text": text }).to_string();
    let (_, wrong) = running.api("POST", "/api/v1/parsers/check", &text(&PARSER.replace("steps:", "stepz:")));
    assert_eq!(wrong["loads"], false);
    assert!(wrong["diagnostics"][0]["line"].as_u64().is_some_and(|line| line > 0), "{wrong}");
    assert_eq!(running.api("PUT", "/api/v1/parsers/files/our", &text("parser: [")).0, 422);
    let (status, saved) = running.api("PUT", "/api/v1/parsers/files/our", &text(PARSER));
    assert_eq!((status, &saved["restart"]), (200, &json!(true)), "{saved}");

    let (_, sources) = running.api("GET", "/api/v1/sources", "");
    let find = |sources: &serde_json::Value| {
        let all = sources["sources"].as_array().expect("sources").clone();
        all.into_iter().find(|source| source["name"] == "syslog-tcp:127.0.0.1").expect("it sent")
    };
    assert!(find(&sources)["last_seen"].is_string() && find(&sources)["rate_per_minute"].as_f64() > Some(0.0));
    let (_, health) = running.api("GET", "/api/v1/health/detail", "");
    assert!(health["disk"]["total_bytes"].as_u64() > health["disk"]["free_bytes"].as_u64(), "{health}");
    running.wait_for_count("event.action:settings.retention event.outcome:unknown", 3);
    running.stop();

    let running = Running::start(folder.path(), RECEIVERS);
    let (_, settings) = running.api("GET", "/api/v1/settings", "");
    let kept = json!({"max_age_days": 7, "max_bytes": 1_000_000_000, "max_disk_percent": 70});
    assert_eq!(settings["retention"], kept, "it goes before the configuration file");
    let (_, sources) = running.api("GET", "/api/v1/sources", "");
    assert!(find(&sources)["last_seen"].is_string(), "also after a restart: {sources}");
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    writeln!(stream, "{line}").expect("sent");
    wait_until("the saved parser is in force", || !running.hunt("event.dataset:our.app user.name:ada").is_empty());
}

#[test]
fn receivers_and_notifications_are_changed_without_a_restart() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let put = |section: &str, text: &str| {
        running.api("PUT", &format!("/api/v1/settings/sections/{section}"), &json!({ "text": text }).to_string())
    };
    let send = |stream: &mut TcpStream, word: &str| {
        writeln!(stream, "<38>Nov 21 04:11:52 web1 app: {word}").expect("sent");
        running.wait_for_count(&format!("{word} {OTHERS}"), 1);
    };
    let (_, section) = running.api("GET", "/api/v1/settings/sections/receivers", "");
    let text = section["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("syslog:") && section["changed"] == false, "{section}");
    let mut old = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    send(&mut old, "beforehand");

    // A new listener comes; who is connected to one that stays notices nothing.
    let spare = std::net::TcpListener::bind("127.0.0.1:0").and_then(|spare| spare.local_addr()).expect("a port");
    let more = text.replacen("syslog:", &format!("syslog:\n- transport: tcp\n  listen: {spare}"), 1);
    let (status, changed) = put("receivers", &more);
    assert_eq!((status, &changed["changed"], &changed["text"]), (200, &json!(true), &json!(more)), "{changed}");
    send(&mut old, "meanwhile");
    let mut new = TcpStream::connect(spare).expect("the new one listens");
    send(&mut new, "elsewhere");
    let listens = |running: &Running, address: &str| {
        let (_, settings) = running.api("GET", "/api/v1/settings", "");
        let receivers = settings["receivers"].as_array().expect("receivers").clone();
        receivers.iter().any(|receiver| receiver["address"] == address)
    };
    assert!(listens(&running, &spare.to_string()));

    // What cannot be opened changes nothing, nor what is wrong.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it has one");
    let (status, refused) = put("receivers", &format!("syslog: [{{transport: tcp, listen: '{address}'}}]"));
    assert!(status == 422 && refused["detail"].as_str().is_some_and(|why| why.contains("in use")), "{refused}");
    let (status, wrong) = put("receivers", "syslog:\n- transport: tcp\n  listn: '127.0.0.1:1'");
    assert_eq!((status, &wrong["diagnostics"][0]["line"]), (422, &json!(3)), "{wrong}");
    let (status, open) = put("receivers", "syslog: [{transport: tcp, listen: '0.0.0.0:0'}]");
    assert!(status == 422 && open["detail"].as_str().is_some_and(|why| why.contains("in the clear")), "{open}");
    assert_eq!((&open["diagnostics"][0]["line"], &open["diagnostics"][0]["column"]), (&json!(1), &json!(10)), "{open}");
    let mut again = TcpStream::connect(spare).expect("it listens as before");
    send(&mut again, "afterwards");

    let channel = "channels:\n- {name: hook, webhook: {url: 'http://127.0.0.1:9/hook'}}\n";
    let (status, changed) = put("notifications", channel);
    assert_eq!(status, 200, "{changed}");
    let channels = |running: &Running| running.api("GET", "/api/v1/notifications", "").1["channels"].clone();
    assert_eq!(channels(&running)[0]["name"], "hook");
    // What stands in it and is secret is not shown, and stays what it is where it is left so.
    let (_, shown) = running.api("GET", "/api/v1/settings/sections/notifications", "");
    let shown = shown["text"].as_str().expect("a text").to_owned();
    assert!(shown.contains("[secret]") && !shown.contains("127.0.0.1:9"), "{shown}");
    let kept = || std::fs::read_to_string(folder.path().join("data/settings.json")).expect("it was changed");
    let queue = format!("queue: 200\n{shown}");
    let (status, changed) = put("notifications", &queue);
    assert!(status == 200 && !changed.to_string().contains("127.0.0.1:9"), "{changed}");
    assert!(kept().contains("queue: 200") && kept().contains("http://127.0.0.1:9/hook"), "{}", kept());
    // Where there was none, nobody guesses; and every mistake has its place.
    for (text, what, line, column) in [
        (shown.replace("name: hook", "name: book"), "[secret] keeps", 4, 5),
        (format!("{shown}routes:\n- name: all\n  channels: [hook,\n    gone]\n"), "no channel `gone`", 8, 5),
        (queue.replace("200", "2"), "not 100 to 1000000", 1, 1),
        (channel.replace("'http://127.0.0.1:9/hook'", "'file:/no/such'"), "/no/such", 2, 3),
    ] {
        let (status, refused) = put("notifications", &text);
        let first = &refused["diagnostics"][0];
        assert!(status == 422 && first["message"].as_str().is_some_and(|said| said.contains(what)), "{refused}");
        assert_eq!((&first["line"], &first["column"]), (&json!(line), &json!(column)), "{text}{refused}");
    }
    assert!(kept().contains("queue: 200"), "{}", kept());
    running.wait_for_count("event.action:settings.receivers event.outcome:failure", 3);
    running.stop();

    let running = Running::start(folder.path(), RECEIVERS);
    assert!(listens(&running, &spare.to_string()), "also after a restart");
    assert_eq!(channels(&running)[0]["name"], "hook");
    for section in ["receivers", "notifications"] {
        let (status, restored) = running.api("DELETE", &format!("/api/v1/settings/sections/{section}"), "");
        assert_eq!((status, &restored["changed"]), (200, &json!(false)), "{restored}");
    }
    assert!(!listens(&running, &spare.to_string()) && channels(&running) == json!([]));
    assert!(TcpStream::connect(spare).is_err(), "nobody listens there any more");
}
