//! Commands that need no server.

use std::fs;

use crate::harness::{data, folder, json_lines, run, stdout};

#[test]
fn built_in_rules_and_parsers_pass_their_own_tests() {
    let output = run(&["rules", "test"]);
    let out = stdout(&output, 0);
    assert_eq!(out, "");
    assert!(String::from_utf8_lossy(&output.stderr).contains(" 0 failed"));
    let output = run(&["rules", "check", "-o", "json"]);
    let rules = json_lines(&stdout(&output, 0));
    assert!(rules.len() >= 60, "{} built-in rules", rules.len());
}

#[test]
fn every_public_rule_loads_or_is_refused_by_name() {
    let Some(sigma) = data("sigma") else { return };
    let folders: Vec<String> = fs::read_dir(&sigma)
        .expect("readable")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("rules"))
        .map(|entry| entry.path().display().to_string())
        .collect();
    let mut arguments = vec!["rules", "check", "-o", "json"];
    arguments.extend(folders.iter().map(String::as_str));
    let output = run(&arguments);
    let rules = json_lines(&stdout(&output, 1));
    let refused: Vec<_> = rules.iter().filter(|rule| rule["status"] == "refused").collect();
    assert!(rules.len() > 3700, "{} rules", rules.len());
    for rule in &refused {
        assert!(rule["reason"].as_str().is_some_and(|reason| reason.contains("placeholder")), "{rule}");
        assert!(rule["line"].as_u64().is_some_and(|line| line > 0), "{rule}");
        assert!(rule["file"].as_str().is_some_and(|file| file.ends_with(".yml")), "{rule}");
    }
}

#[test]
fn a_wrong_rule_names_its_place() {
    let folder = folder();
    let rule = folder.path().join("wrong.yml");
    fs::write(&rule, "title: Wrong\nlogsource: {product: linux}\ndetection:\n  a:\n    x|nosuch: 1\n  condition: a\n")
        .expect("writable");
    let output = run(&["rules", "check", "-o", "json", &rule.to_string_lossy()]);
    let rules = json_lines(&stdout(&output, 1));
    assert_eq!(rules[0]["status"], "refused");
    assert_eq!(rules[0]["line"], 5);
    assert!(rules[0]["reason"].as_str().expect("text").contains("nosuch"));
}

#[test]
fn a_wrong_configuration_is_exit_code_2() {
    let folder = folder();
    let config = folder.path().join("vedette.yml");
    fs::write(&config, "storage:\n  max_agee_days: 3\n").expect("writable");
    let output = run(&["check", "--config", &config.to_string_lossy()]);
    stdout(&output, 2);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("max_agee_days") && error.contains(":2:"), "{error}");
}

#[test]
fn a_configuration_names_parsers_that_exist() {
    let folder = folder();
    let config = folder.path().join("vedette.yml");
    let check = |parser: &str| {
        let text = format!("receivers: {{files: [{{paths: [/var/log/shop.log], parser: {parser}}}]}}\n");
        fs::write(&config, text).expect("writable");
        run(&["check", "--config", &config.to_string_lossy()])
    };
    stdout(&check("nginx-access"), 0);
    let output = check("nginx_access");
    stdout(&output, 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no parser `nginx_access`"));
}

#[test]
fn looking_makes_no_data_folder() {
    let folder = folder();
    let absent = folder.path().join("absent");
    for command in [&["alerts"][..], &["incidents"], &["cases"], &["sources"], &["hunt", "x"], &["sql", "SELECT 1"]] {
        let output = run(&[command, &["--data", &absent.to_string_lossy()]].concat());
        stdout(&output, 2);
        assert!(String::from_utf8_lossy(&output.stderr).contains("there is no data folder"), "{command:?}");
    }
    assert!(!absent.exists());
}
