//! Following files: growth, rotation, truncation, restart.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vedette_event::Reason;
use vedette_intake::receive::{
    ReceiveError,
    files::{self, Config, Multiline, Pattern, Start},
};

use crate::support::Folder;

struct Following {
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), ReceiveError>>,
}

impl Following {
    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

fn config(folder: &Folder) -> Config {
    Config {
        poll: Duration::from_millis(10),
        rescan: Duration::from_millis(20),
        flush_after: Duration::from_millis(150),
        close_after: Duration::from_millis(100),
        record_bytes: 1000,
        ..Config::new(vec![Pattern::new(glob(folder))], folder.path("files.json"))
    }
}

fn glob(folder: &Folder) -> String {
    format!("{}/*.log*", folder.path("logs").display())
}

fn follow(folder: &Folder, config: Config) -> Following {
    fs::create_dir_all(folder.path("logs")).unwrap();
    let receiver = files::open(config, folder.spool.clone()).unwrap();
    let shutdown = CancellationToken::new();
    Following { running: tokio::spawn(receiver.run(shutdown.clone())), shutdown }
}

fn add(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn source(path: &Path) -> String {
    format!("file:{}", path.display())
}

async fn holds(folder: &Folder, path: &Path, expected: &[&str]) {
    let name = source(path);
    folder.until(&format!("{expected:?}"), |folder| folder.stored(&name) >= expected.len() as u64).await;
    assert_eq!(folder.texts(&name), expected);
}

#[tokio::test]
async fn growth_and_a_last_line_without_lf() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "one\ntwo\r\n\nthr");
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one", "two"]).await;
    add(&path, "ee\nfo");
    holds(&folder, &path, &["one", "two", "three"]).await;
    // After a while without more, the rest is a record.
    holds(&folder, &path, &["one", "two", "three", "fo"]).await;
    add(&path, "ur\n");
    holds(&folder, &path, &["one", "two", "three", "fo", "ur"]).await;
    following.stop().await;
}

#[tokio::test]
async fn rotation_by_rename_reads_both_to_the_end() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "one\n");
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one"]).await;
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    fs::rename(&path, folder.path("logs/a.log.1")).unwrap();
    writer.write_all(b"two, to the renamed file\n").unwrap();
    holds(&folder, &path, &["one", "two, to the renamed file"]).await;
    add(&path, "three\n");
    holds(&folder, &path, &["one", "two, to the renamed file", "three"]).await;
    // The renamed file matches the pattern too, is closed after a while, and must not be read again.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"one\ntwo\n").unwrap();
    let gz = gz.finish().unwrap();
    fs::write(folder.path("logs/a.log.2.gz"), &gz).unwrap();
    fs::write(folder.path("logs/a.log.disguised"), &gz).unwrap();
    add(&path, "four\n");
    holds(&folder, &path, &["one", "two, to the renamed file", "three", "four"]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(folder.records().len(), 1, "{:?}", folder.records().keys());
    following.stop().await;
    // Nor after a restart.
    let folder = folder.reopened();
    let following = follow(&folder, config(&folder));
    add(&path, "five\n");
    holds(&folder, &path, &["one", "two, to the renamed file", "three", "four", "five"]).await;
    assert_eq!(folder.records().len(), 1);
    following.stop().await;
}

#[tokio::test]
async fn copy_and_truncate() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "one\ntwo\n");
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one", "two"]).await;
    fs::copy(&path, folder.path("logs/copy")).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    add(&path, "new\n");
    holds(&folder, &path, &["one", "two", "new"]).await;
    // Overwritten with more than there was.
    fs::write(&path, "quite different\nand longer than before\n").unwrap();
    holds(&folder, &path, &["one", "two", "new", "quite different", "and longer than before"]).await;
    following.stop().await;
}

#[tokio::test]
async fn rotation_and_growth_while_nobody_looked() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "one\n");
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one"]).await;
    following.stop().await;
    add(&path, "two\n");
    fs::rename(&path, folder.path("logs/a.log.1")).unwrap();
    add(&path, "three\n");
    let folder = folder.reopened();
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one", "two", "three"]).await;
    assert_eq!(folder.records().len(), 1);
    following.stop().await;
}

/// Between two looks the path had several files, one after another; every line comes once.
#[tokio::test]
async fn rotated_several_times_between_two_looks() {
    let patient = |folder: &Folder| Config { poll: Duration::from_millis(400), ..config(folder) };
    let lines = ["one", "two", "three", "four", "five", "six", "seven"];
    for date_names in [false, true] {
        let folder = Folder::new();
        let path = folder.path("logs/a.log");
        let rotate = |number: usize| {
            if date_names {
                return fs::rename(&path, folder.path(&format!("logs/a.log-20261121-{number}"))).unwrap();
            }
            for at in (1..number).rev() {
                let name = |at: usize| folder.path(&format!("logs/a.log.{at}"));
                fs::rename(name(at), name(at + 1)).unwrap();
            }
            fs::rename(&path, folder.path("logs/a.log.1")).unwrap();
        };
        add(&path, "one\n");
        let following = follow(&folder, patient(&folder));
        holds(&folder, &path, &lines[..1]).await;
        for (rotations, line) in lines[1..4].iter().enumerate() {
            add(&path, &format!("{line}\n"));
            rotate(rotations + 1);
        }
        // Whoever looks while names move may see them in another order.
        let name = source(&path);
        folder.until("four lines", |folder| folder.stored(&name) >= 4).await;
        let mut texts = folder.texts(&name);
        texts.sort();
        assert_eq!(texts, ["four", "one", "three", "two"]);
        add(&path, "five\n");
        folder.until("five", |folder| folder.stored(&name) >= 5).await;
        following.stop().await;
        // The same while nobody looks.
        for (rotations, line) in lines[5..].iter().enumerate() {
            rotate(rotations + 4);
            add(&path, &format!("{line}\n"));
        }
        let following = follow(&folder, patient(&folder));
        folder.until("all lines", |folder| folder.stored(&name) >= 7).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(folder.texts(&name)[4..], lines[4..]);
        assert_eq!(folder.records().len(), 1, "{:?}", folder.records().keys());
        following.stop().await;
    }
}

/// Rotated all the time, with names moving under every look: every line still comes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_rotations() {
    const ROTATIONS: usize = 150;
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "line 0\n");
    let following = follow(&folder, Config { close_after: Duration::from_secs(5), ..config(&folder) });
    holds(&folder, &path, &["line 0"]).await;
    let writer = tokio::task::spawn_blocking({
        let path = path.clone();
        move || {
            let rotated = |at: usize| path.with_file_name(format!("a.log.{at}"));
            for number in 1..=ROTATIONS {
                for at in (1..number).rev() {
                    fs::rename(rotated(at), rotated(at + 1)).unwrap();
                }
                fs::rename(&path, rotated(1)).unwrap();
                add(&path, &format!("line {number}\n"));
            }
        }
    });
    writer.await.unwrap();
    let name = source(&path);
    folder.until("all lines", |folder| folder.stored(&name) > ROTATIONS as u64).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut texts = folder.texts(&name);
    texts.sort_by_key(|text| text[5..].parse::<usize>().unwrap());
    assert_eq!(texts, (0..=ROTATIONS).map(|number| format!("line {number}")).collect::<Vec<_>>());
    assert_eq!(folder.records().len(), 1, "{:?}", folder.records().keys());
    following.stop().await;
}

/// What was there before the path was followed, and what is beside it for other reasons, is left alone.
#[tokio::test]
async fn only_missed_rotations_are_taken_up() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    let mut one_file = config(&folder);
    one_file.patterns = vec![Pattern::new(path.display().to_string())];
    add(&folder.path("logs/a.log.1"), "long ago\n");
    tokio::time::sleep(Duration::from_millis(50)).await;
    add(&path, "one\n");
    let following = follow(&folder, one_file);
    holds(&folder, &path, &["one"]).await;
    fs::rename(folder.path("logs/a.log.1"), folder.path("logs/a.log.2")).unwrap();
    fs::rename(&path, folder.path("logs/a.log.1")).unwrap();
    add(&folder.path("logs/a.log.tmp"), "not a rotated file\n");
    add(&folder.path("logs/a.logger"), "nor this\n");
    add(&path, "two\n");
    holds(&folder, &path, &["one", "two"]).await;
    // Rotated by copying and deleting: the copy repeats what was read.
    fs::copy(&path, folder.path("logs/a.log.copied.1")).unwrap();
    fs::copy(&path, folder.path("logs/a.log.3")).unwrap();
    fs::remove_file(&path).unwrap();
    add(&path, "three\n");
    holds(&folder, &path, &["one", "two", "three"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(folder.texts(&source(&path)), ["one", "two", "three"]);
    following.stop().await;
}

/// A crash between storing and the checkpoint: the checkpoint is older than the spool. Nothing may come
/// twice and nothing may be lost, wherever the checkpoint was.
#[tokio::test]
async fn an_old_checkpoint_brings_nothing_twice() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "one\n");
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one"]).await;
    following.stop().await;
    let old = fs::read(folder.path("files.json")).unwrap();

    let following = follow(&folder, config(&folder));
    add(&path, "two\n\nthree\nfour");
    holds(&folder, &path, &["one", "two", "three"]).await;
    following.shutdown.cancel();
    following.running.await.unwrap().unwrap();
    let stored = folder.stored(&source(&path));
    fs::write(folder.path("files.json"), old).unwrap();

    let folder = folder.reopened();
    add(&path, " and more\nfive\n");
    let following = follow(&folder, config(&folder));
    // "four" had not become a record.
    assert_eq!(stored, 3);
    holds(&folder, &path, &["one", "two", "three", "four and more", "five"]).await;
    following.stop().await;
}

/// The same where time ended a record: the decision is in the checkpoint before the record is stored.
#[tokio::test]
async fn a_record_ended_by_time_comes_once() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "no line end");
    let following = follow(&folder, config(&folder));
    // The checkpoint between the decision and the append.
    let mut decided = None;
    folder
        .until("the decision or the record", |folder| {
            fs::read_to_string(folder.path("files.json")).is_ok_and(|text| text.contains("cut_at"))
                || folder.stored(&source(&path)) == 1
        })
        .await;
    let text = fs::read_to_string(folder.path("files.json")).unwrap();
    if text.contains("cut_at") {
        decided = Some(text);
    }
    holds(&folder, &path, &["no line end"]).await;
    following.stop().await;
    let decided = decided.unwrap_or_else(|| {
        // We were too slow to see it: write what it was.
        let text = fs::read_to_string(folder.path("files.json")).unwrap();
        text.replace("\"stored\":1", "\"stored\":0").replace("\"offset\":11", "\"offset\":0,\"cut_at\":11")
    });
    fs::write(folder.path("files.json"), decided).unwrap();
    let folder = folder.reopened();
    add(&path, " after all\n");
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["no line end", " after all"]).await;
    following.stop().await;
}

#[tokio::test]
async fn where_to_begin() {
    let folder = Folder::new();
    let old = folder.path("logs/old.log");
    add(&old, "before\nhalf");
    let mut from_end = config(&folder);
    from_end.patterns[0].start = Start::End;
    let following = follow(&folder, from_end.clone());
    tokio::time::sleep(Duration::from_millis(60)).await;
    add(&old, " a line\n");
    let new = folder.path("logs/new.log");
    add(&new, "from its beginning\n");
    holds(&folder, &old, &["half a line"]).await;
    holds(&folder, &new, &["from its beginning"]).await;
    following.stop().await;
    // A file that appeared while we were away is new as well.
    let newer = folder.path("logs/newer.log");
    add(&newer, "also from its beginning\n");
    let following = follow(&folder, from_end);
    holds(&folder, &newer, &["also from its beginning"]).await;
    following.stop().await;
}

#[tokio::test]
async fn joined_lines() {
    let folder = Folder::new();
    let path = folder.path("logs/java.log");
    let mut joined = config(&folder);
    joined.patterns[0].multiline = Some(Multiline::new(r"^\d{4}-").unwrap());
    let following = follow(&folder, joined);
    add(&path, "2026-11-21 ERROR x\n  at A\n  at B\n2026-11-21 INFO y\n");
    holds(&folder, &path, &["2026-11-21 ERROR x\n  at A\n  at B"]).await;
    holds(&folder, &path, &["2026-11-21 ERROR x\n  at A\n  at B", "2026-11-21 INFO y"]).await;
    following.stop().await;
}

#[tokio::test]
async fn over_long_lines_are_refused_and_counted() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, &format!("one\n{}\ntwo\n{}", "x".repeat(3_000_000), "y".repeat(2_000_000)));
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one", "two"]).await;
    folder.until("two refusals", |folder| folder.refused(&source(&path), Reason::TooLarge) == 2).await;
    add(&path, "yyy\nthree\n");
    holds(&folder, &path, &["one", "two", "three"]).await;
    assert_eq!(folder.refused(&source(&path), Reason::TooLarge), 2);
    following.stop().await;
}

#[tokio::test]
async fn deleted_files_and_bad_patterns() {
    let folder = Folder::new();
    let path = folder.path("logs/a.log");
    add(&path, "one\nunfinished");
    let following = follow(&folder, config(&folder));
    holds(&folder, &path, &["one"]).await;
    fs::remove_file(&path).unwrap();
    // What was written is read although the name is gone.
    holds(&folder, &path, &["one", "unfinished"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    add(&path, "a new file\n");
    holds(&folder, &path, &["one", "unfinished", "a new file"]).await;
    following.stop().await;
    let bad = Config::new(vec![Pattern::new("/var/log/***")], folder.path("other.json"));
    assert!(
        files::open(bad, folder.spool.clone()).err().unwrap().to_string().starts_with("file pattern `/var/log/***`")
    );
    fs::write(folder.path("broken.json"), "{").unwrap();
    let broken = Config::new(Vec::new(), folder.path("broken.json"));
    assert!(files::open(broken, folder.spool.clone()).err().unwrap().to_string().contains("no readable checkpoint"));
}
