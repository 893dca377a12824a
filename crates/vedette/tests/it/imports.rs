//! `vedette import`, with and without a running server.

use std::{fs, path::Path};

use crate::harness::{RECEIVERS, Running, folder, json_lines, run, stdout};

/// Three records, one that is no JSON, one that is too long.
fn write_events(path: &Path) {
    let long = "x".repeat(5000);
    let lines = format!("{{\"n\":1}}\n{{\"n\":2}}\nnot JSON\n{{\"long\":\"{long}\"}}\n{{\"n\":3}}\n");
    fs::write(path, lines).expect("writable");
}

/// The job's account in the loss ledger.
fn account(data: &Path) -> serde_json::Value {
    let output = run(&["sources", "-o", "json", "--data", &data.to_string_lossy()]);
    let sources = json_lines(&stdout(&output, 0));
    sources.into_iter().find(|source| source["name"] == "import:job").expect("the job is a source")
}

/// What is left out is named, counted, and the exit code says so; a second run with `--resume` stores nothing twice.
fn imports_into(data: &Path, file: &Path) {
    let (data_name, file_name) = (data.to_string_lossy(), file.to_string_lossy());
    let output = run(&["import", "--job", "job", "--data", &data_name, &file_name]);
    assert!(stdout(&output, 1).starts_with("3 records stored"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    for expected in ["events.ndjson: line 3: ", "events.ndjson: line 4: ", "2 records are damaged or too long"] {
        assert!(errors.contains(expected), "{expected} is missing: {errors}");
    }
    let account_now = account(data);
    assert_eq!(account_now["stored"], 3);
    assert_eq!(account_now["refused"], serde_json::json!({"malformed": 1, "too_large": 1}));
    assert_eq!(account_now["received"], 5);
    let output = run(&["import", "--resume", "--job", "job", "--data", &data_name, &file_name]);
    let out = stdout(&output, 1);
    assert!(out.starts_with("0 records stored") && out.contains("3 records were skipped"), "{out}");
    assert_eq!(account(data)["stored"], 3);
}

#[test]
fn imports_are_accounted_for_without_a_server() {
    let folder = folder();
    let (data, file) = (folder.path().join("data"), folder.path().join("events.ndjson"));
    let config = folder.path().join("vedette.yml");
    fs::write(&config, "storage: {max_record_bytes: 4096}\n").expect("writable");
    fs::create_dir_all(&data).expect("writable");
    // As `up` leaves it: commands without a server use the configuration that the server ran with.
    fs::write(data.join("configuration.path"), config.as_os_str().as_encoded_bytes()).expect("writable");
    write_events(&file);
    imports_into(&data, &file);
}

#[test]
fn imports_are_accounted_for_by_a_server() {
    let folder = folder();
    let file = folder.path().join("events.ndjson");
    write_events(&file);
    let server = Running::start(folder.path(), &format!("{RECEIVERS}storage: {{max_record_bytes: 4096}}\n"));
    imports_into(&server.data(), &file);
    // The server's configuration holds for commands after it has stopped.
    let data = server.data();
    server.stop();
    fs::write(&file, format!("{{\"long\":\"{}\"}}\n", "y".repeat(5000))).expect("writable");
    let output = run(&["import", "--job", "job", "--data", &data.to_string_lossy(), &file.to_string_lossy()]);
    assert!(stdout(&output, 1).starts_with("0 records stored"));
    assert_eq!(account(&data)["refused"]["too_large"], 3);
}
