//! The public corpora through the real binary.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::harness::{OTHERS, count, data, folder, json_lines, run, stdout, unpacked};

/// Rules whose `match_count: 1` contradicts the events beside it: the JSON of the same events holds three files that
/// are dropped, and two registry values that are set, each of which the rule describes.
const MISCOUNTED: [(&str, u64); 2] =
    [("8fbf3271-1ef6-4e94-8210-03c2317947f6", 3), ("c7dcacd0-cc59-4004-b0a4-1d6cdebe6f3e", 2)];

/// SigmaHQ's regression data: every rule must match its own EVTX, as often as it says.
#[test]
fn sigma_regression_data() {
    let Some(sigma) = data("sigma") else { return };
    let mut tests = Vec::new();
    visit(&sigma.join("regression_data"), &mut |path| {
        if path.file_name().is_some_and(|name| name == "info.yml") {
            tests.push(path.to_owned());
        }
    });
    // One run over all files: findings name their file and rule.
    let inputs: Vec<String> = tests.iter().map(|info| info.parent().expect("a folder").display().to_string()).collect();
    let rules: Vec<String> = ["rules", "rules-emerging-threats", "rules-threat-hunting"]
        .map(|folder| sigma.join(folder).display().to_string())
        .to_vec();
    let mut arguments = vec!["detect", "-o", "json", "-r"];
    arguments.extend(rules.iter().map(String::as_str));
    arguments.push("--");
    let evtx: Vec<String> = inputs
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("readable").flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "evtx"))
        .map(|path| path.display().to_string())
        .collect();
    arguments.extend(evtx.iter().map(String::as_str));
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    for finding in json_lines(&stdout(&run(&arguments), 0)) {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        *found.entry((text("log.file.path"), text("rule.id"))).or_default() += 1;
    }
    let (mut passed, mut failed) = (0, Vec::new());
    for info in &tests {
        let parsed: Value =
            serde_norway::from_str(&fs::read_to_string(info).expect("readable")).expect("YAML that SigmaHQ wrote");
        let rule = parsed["rule_metadata"][0]["id"].as_str().expect("an id").to_owned();
        for test in parsed["regression_tests_info"].as_array().into_iter().flatten() {
            let path = test["path"].as_str().expect("a path");
            let file = info.parent().expect("a folder").join(Path::new(path).file_name().expect("a name"));
            let times = found.get(&(file.display().to_string(), rule.clone())).copied().unwrap_or(0);
            let stated = test["match_count"].as_u64();
            let wanted = MISCOUNTED.iter().find(|(id, _)| *id == rule).map(|(_, count)| *count).or(stated);
            let right = wanted.map_or(times >= 1, |wanted| times == wanted);
            if right { passed += 1 } else { failed.push(format!("{rule} {} {times} times", file.display())) }
        }
    }
    eprintln!("{passed} of {} regression tests", passed + failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(passed > 100);
}

/// Every record of every EVTX sample arrives: as many as the `evtx` crate itself reads.
#[test]
fn evtx_samples_import_completely() {
    let Some(samples) = unpacked("evtx/evtx-attack-samples.tar.xz") else { return };
    let (mut expected, mut files) = (0, Vec::new());
    visit(&samples, &mut |path| {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("evtx")) {
            let mut parser = evtx::EvtxParser::from_path(path).expect("an EVTX file");
            expected += parser.records_json().filter(Result::is_ok).count() as u64;
            files.push(path.display().to_string());
        }
    });
    let folder = folder();
    let store = folder.path().join("data");
    let store_name = store.to_string_lossy();
    let mut arguments = vec!["import", "--job", "evtx", "--data", &store_name];
    arguments.extend(files.iter().map(String::as_str));
    let output = run(&arguments);
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(count(&store, &format!("* {OTHERS}")), expected);
}

/// The OTRF data sets arrive line by line.
#[test]
fn otrf_imports_completely() {
    let Some(events) = unpacked("otrf/events.tar.xz") else { return };
    // Ten files in the short run; all 58 with VEDETTE_LONG.
    let most = if std::env::var_os("VEDETTE_LONG").is_some() { usize::MAX } else { 10 };
    let mut files = Vec::new();
    visit(&events, &mut |path| files.push(path.to_owned()));
    files.sort_by_key(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()));
    files.truncate(most);
    let expected: usize = files
        .iter()
        .map(|path| {
            fs::read(path).expect("readable").split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
        })
        .sum();
    let folder = folder();
    let store = folder.path().join("data").display().to_string();
    let mut arguments = vec!["import".to_owned(), "--job".into(), "otrf".into(), "--data".into(), store.clone()];
    arguments.extend(files.iter().map(|path| path.display().to_string()));
    let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    stdout(&output, 0);
    assert_eq!(count(Path::new(&store), &format!("* {OTHERS}")), expected as u64);
}

/// DuckDB reads the folder as it is.
#[test]
fn duckdb_reads_the_segments() {
    let Some(cloudtrail) = unpacked("cloudtrail/aws-attack-simulation.tar.xz") else { return };
    let folder = folder();
    let store = folder.path().join("data");
    let output = run(&["import", "--job", "trail", &cloudtrail.to_string_lossy(), "--data", &store.to_string_lossy()]);
    stdout(&output, 0);
    let code = r#"
import duckdb, sys
c = duckdb.connect()
files = sys.argv[1] + "/store/segments/**/*.parquet"
rows = c.execute(f"select count(*), count(distinct \"vedette.seq\"), min(octet_length(\"event.original\")) from read_parquet('{files}', hive_partitioning=false) where \"vedette.source_name\" = 'import:trail'").fetchone()
actions = c.execute(f"select \"event.action\", count(*) n from read_parquet('{files}', hive_partitioning=false) where \"event.dataset\" = 'aws.cloudtrail' group by 1 order by 2 desc limit 3").fetchall()
print(rows[0], rows[1], rows[2] > 0, len(actions))
"#;
    let python = crate::harness::root().join("target/test-venv/bin/python");
    let output = std::process::Command::new(python).args(["-c", code]).arg(&store).output().expect("the environment");
    let out = stdout(&output, 0);
    let stored = count(&store, "vedette.source_name:\"import:trail\"");
    assert_eq!(out.trim(), format!("{stored} {stored} True 3"));
    assert!(stored >= 2000, "{stored} CloudTrail events");
}

fn visit(path: &Path, found: &mut dyn FnMut(&Path)) {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).expect("readable").flatten().map(|entry| entry.path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| visit(entry, found));
    } else {
        found(path);
    }
}
