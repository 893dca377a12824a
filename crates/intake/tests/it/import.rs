//! Reading files that exist already.

use std::{fs, io::Write};

use bytes::Bytes;
use evtx::{EvtxParser, ParserSettings};
use vedette_event::Reason;
use vedette_intake::import::{self, Format, Options, Place};

use crate::support::{Folder, unpacked};

fn texts(items: Vec<import::Item>) -> (Vec<String>, Vec<String>) {
    let (records, errors): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
    let records = records.into_iter().map(|record| String::from_utf8_lossy(&record.unwrap()).into_owned()).collect();
    let errors =
        errors.into_iter().map(|error| error.unwrap_err()).map(|error| format!("{}: {}", error.place, error.message));
    (records, errors.collect())
}

#[test]
fn formats_and_damage() {
    let folder = Folder::new();
    let too_long = "x".repeat(200);
    type Case<'a> = (&'a str, &'a str, Format, &'a [&'a str], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            "plain lines",
            "Nov 21 host x: one\r\n\ntwo\nthree",
            Format::Lines,
            &["Nov 21 host x: one", "two", "three"],
            &[],
        ),
        (
            "EVE",
            "{\"event_type\":\"dns\"}\n{\"event_type\":\n{\"event_type\":\"flow\"}\n7\n",
            Format::Ndjson,
            &["{\"event_type\":\"dns\"}", "{\"event_type\":\"flow\"}"],
            &["line 2: not valid JSON: EOF while parsing a value at line 1 column 14", "line 4: not a JSON object"],
        ),
        ("array", "[{\"a\":1},\n {\"b\":[1]}]\n", Format::JsonArray, &["{\"a\":1}", "{\"b\":[1]}"], &[]),
        ("pretty", "{\n \"a\": 1\n}\n{\n \"b\": 1\n}\n", Format::Json, &["{\n \"a\": 1\n}", "{\n \"b\": 1\n}"], &[]),
        (
            "CloudTrail",
            "{\"Records\":[{\"eventName\":\"A\"},{\"eventName\":\"B\"}]}",
            Format::CloudTrail,
            &["{\"eventName\":\"A\"}", "{\"eventName\":\"B\"}"],
            &[],
        ),
        (
            "CloudTrail, cut off",
            "{\"Records\":[{\"eventName\":\"A\"},{\"eventNa",
            Format::CloudTrail,
            &["{\"eventName\":\"A\"}"],
            &["element 2: no JSON value can begin here, or it is not complete"],
        ),
        (
            "too long",
            &format!("one\n{too_long}\ntwo\n"),
            Format::Lines,
            &["one", "two"],
            &["line 2: longer than 100 bytes"],
        ),
        (
            "Zeek",
            "#separator \\x09\n#path\tdns\n#fields\tts\tquery\n#types\ttime\tstring\n1.5\ta.example\n1.5\n",
            Format::ZeekTsv,
            &["{\"_path\":\"dns\",\"ts\":1.5,\"query\":\"a.example\"}"],
            &["line 6: 1 columns where the header names 2"],
        ),
    ];
    let options = Options { record_bytes: 100, ..Options::default() };
    for (name, text, format, records, errors) in cases {
        let gzipped = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        for bytes in [text.as_bytes().to_vec(), gzipped, zstd::encode_all(text.as_bytes(), 3).unwrap()] {
            let path = folder.path("input");
            fs::write(&path, &bytes).unwrap();
            let mut import = import::open(&path, &options).unwrap();
            assert_eq!(import.format(), *format, "{name}");
            let found = texts(import.by_ref().collect());
            assert_eq!(
                (found.0.as_slice(), found.1.as_slice()),
                (as_strings(records).as_slice(), as_strings(errors).as_slice()),
                "{name}"
            );
            assert_eq!(import.progress(), (bytes.len() as u64, bytes.len() as u64), "{name}");
        }
    }
}

fn as_strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_is_not_supported_is_said() {
    let folder = Folder::new();
    let path = folder.path("input");
    for (bytes, said) in [
        (&b"\xff\xfe{\0}\0"[..], "is UTF-16 text (convert it first, with iconv -f UTF-16 -t UTF-8)"),
        (b"\xfd7zXZ\0rest", "xz files are not supported (unpack it first, with xz -d)"),
        (b"ElfFile\0 and nothing else", "is no readable event log"),
    ] {
        fs::write(&path, bytes).unwrap();
        let refused = import::open(&path, &Options::default()).err().unwrap().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let mut cut = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    cut.write_all("a line of text\n".repeat(10_000).as_bytes()).unwrap();
    let mut cut = cut.finish().unwrap();
    cut.truncate(cut.len() / 2);
    fs::write(&path, cut).unwrap();
    let (records, errors) = texts(import::open(&path, &Options::default()).unwrap().collect());
    assert!(records.len() > 10, "what can be read is read");
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn evtx_files_give_what_the_evtx_crate_gives() {
    let Some(samples) = unpacked("evtx/evtx-attack-samples") else { return };
    let mut files = Vec::new();
    let mut folders = vec![samples];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "evtx" => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    // Every fifth: unoptimised, all of them take a while.
    let (mut total, mut compared) = (0, 0);
    for file in files.iter().step_by(5) {
        let settings = ParserSettings::new().indent(false).num_threads(1);
        let mut parser = EvtxParser::from_path(file).unwrap().with_configuration(settings);
        let (expected, failed): (Vec<_>, Vec<_>) = parser.records_json().partition(Result::is_ok);
        let expected: Vec<String> = expected.into_iter().map(|record| record.unwrap().data).collect();
        let (records, errors) = texts(import::open(file, &Options::default()).unwrap().collect());
        assert_eq!(records, expected, "{}", file.display());
        let errors = errors.iter().filter(|error| !error.contains("checksum is wrong")).count();
        assert_eq!(errors, failed.len(), "{}", file.display());
        total += records.len();
        compared += 1;
    }
    assert!(compared > 50 && total > 1000, "{compared} files, {total} records");

    // A chunk that is overwritten is reported with its number; the others are read.
    let largest = files.iter().max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    let whole = import::open(largest, &Options::default()).unwrap().filter(Result::is_ok).count();
    bytes[4096 + 65_536..4096 + 65_536 + 100].fill(0xee);
    let folder = Folder::new();
    fs::write(folder.path("damaged.evtx"), &bytes).unwrap();
    let items: Vec<_> = import::open(&folder.path("damaged.evtx"), &Options::default()).unwrap().collect();
    let places: Vec<Place> = items.iter().filter_map(|item| Some(item.as_ref().err()?.place)).collect();
    assert!(places.contains(&Place::Chunk(1)), "{places:?}");
    let left = items.iter().filter(|item| item.is_ok()).count();
    assert!(left > 0 && left < whole, "{left} of {whole}");
}

#[test]
fn cloudtrail_samples_are_read_whole() {
    let Some(samples) = unpacked("cloudtrail/aws-attack-simulation") else { return };
    let mut folders = vec![samples];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.contains("_CloudTrail_") {
                continue;
            }
            let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let import = import::open(&path, &Options::default()).unwrap();
            assert_eq!(import.format(), Format::CloudTrail, "{name}");
            let records: Vec<serde_json::Value> =
                import.map(|record| serde_json::from_slice(&record.unwrap()).unwrap()).collect();
            assert_eq!(serde_json::Value::from(records.clone()), whole["Records"], "{name}");
            count += records.len();
        }
    }
    assert!(count > 2000, "{count}");
}

/// What `vedette import` does: portions into the spool, errors counted by their reason.
#[test]
fn into_the_spool_in_portions() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..3000).map(|number| format!("{{\"n\":{number}}}")).collect();
    let (first, second) = (folder.path("a.json"), folder.path("b.json"));
    let too_long = format!("{{\"long\":\"{}\"}}", "x".repeat(200));
    fs::write(&first, lines[..2000].join("\n") + "\nnonsense\n" + &too_long + "\n").unwrap();
    fs::write(&second, lines[2000..].join("\n")).unwrap();
    let options = Options { record_bytes: 100, ..Options::default() };
    let source = folder.spool.source("import:case-1", "import", None).unwrap();
    let mut errors = Vec::new();
    for file in [&first, &folder.path("missing.json"), &second] {
        let mut import = match import::open(file, &options) {
            Ok(import) => import,
            Err(refused) => {
                errors.push(refused.to_string());
                continue;
            }
        };
        let mut before = 0;
        loop {
            let mut portion = Vec::new();
            for item in import.by_ref().take(500) {
                match item {
                    Ok(record) => portion.push(Bytes::from(record)),
                    Err(error) => {
                        folder.spool.refuse(&source, error.reason, 1);
                        errors.push(error.to_string());
                    }
                }
            }
            let (read, total) = import.progress();
            assert!(before <= read && read <= total, "{before} {read} {total}");
            before = read;
            if portion.is_empty() {
                assert_eq!(read, total);
                break;
            }
            folder.spool.append(&source, portion).unwrap().wait_blocking().unwrap();
        }
    }
    let (first, missing) = (first.display(), folder.path("missing.json"));
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert_eq!(errors[0], format!("{first}: line 2001: not valid JSON: expected ident at line 1 column 2"));
    assert_eq!(errors[1], format!("{first}: line 2002: longer than 100 bytes"));
    assert!(errors[2].contains(&missing.display().to_string()), "{errors:?}");
    assert_eq!(folder.texts("import:case-1"), lines);
    assert_eq!(folder.refused("import:case-1", Reason::Malformed), 1);
    assert_eq!(folder.refused("import:case-1", Reason::TooLarge), 1);
}
