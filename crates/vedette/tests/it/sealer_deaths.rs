//! The sealer's process dies while records come in.

use std::{
    fs,
    process::Command,
    sync::{Mutex, atomic::AtomicBool},
    time::Duration,
};

use vedette_ledger::{Algorithm, checkpoint::Checkpoint, note::Note, tiles::TileFolder, tree};

use crate::{
    acknowledging::{Account, StopOnDrop, assert_all_once, send_until},
    harness::{RECEIVERS, Running, folder, run, stdout, wait_until},
};

const BULK: &str = "vedette.source_name:\"bulk:127.0.0.1\"";

/// The children that are sealers; of any thread.
fn sealers(running: &Running) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{}/task", running.pid())).expect("its threads");
    let children = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> =
        children.flat_map(|pids| pids.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
    let is_sealer = |pid: &u32| {
        // Not one that has ended and nobody has waited for.
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            stat.contains("(vedette-sealer)") && !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
        })
    };
    children.into_iter().filter(is_sealer).collect()
}

#[test]
fn a_killed_sealer_is_started_again() {
    const DEATHS: u64 = 6;
    let folder = folder();
    let running = Running::start(folder.path(), &format!("{RECEIVERS}storage: {{seal_after_seconds: 1}}\n"));
    let ledger = running.data().join("ledger");
    let newest = || -> Checkpoint {
        let note = Note::parse(&fs::read(ledger.join("checkpoint")).expect("a checkpoint")).expect("a note");
        note.text.parse().expect("a checkpoint")
    };
    let (address, stop, account) = (running.address("http"), AtomicBool::new(false), Mutex::new(Account::default()));
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for tag in ["one", "two"] {
            let (stop, account) = (&stop, &account);
            scope.spawn(move || send_until(stop, address, tag, account));
        }
        for death in 0..DEATHS {
            wait_until("there is a sealer", || sealers(&running).len() == 1);
            // At another moment of its work each time.
            std::thread::sleep(Duration::from_millis(170 * death));
            let sealer = sealers(&running)[0];
            seen.push(newest());
            let killed = Command::new("kill").arg("-KILL").arg(sealer.to_string()).status().expect("kill runs");
            assert!(killed.success());
            let before = newest().size;
            wait_until("there is a checkpoint of the next one", || {
                sealers(&running).iter().any(|pid| *pid != sealer) && newest().size > before
            });
        }
    });
    let ledger_check = || {
        let detail = running.api("GET", "/api/v1/health/detail", "").1;
        let checks = detail["checks"].as_array().expect("checks").clone();
        checks.into_iter().find(|check| check["name"] == "ledger").expect("a check of the ledger")
    };
    wait_until("the ledger is well", || ledger_check()["status"] == "ok");
    running.wait_for_at_least("event.action:sealer.end", DEATHS);
    running.wait_for_at_least("event.action:sealer.start", DEATHS);
    let ends = running.hunt("event.action:sealer.end");
    assert!(
        ends.iter().all(|end| end["event.original"].as_str().is_some_and(|end| end.contains("SIGKILL"))),
        "{ends:?}"
    );

    let account = account.into_inner().expect("no sender panicked");
    assert_eq!(account.refusals(), 0, "{:?}", account.refused);
    running.wait_for_at_least(BULK, account.acknowledged.len() as u64);
    assert!(running.stop().success());
    let data = folder.path().join("data");
    assert_all_once(&data, BULK, &account.acknowledged);
    seen.push(newest());
    let last = newest();
    let tiles = TileFolder::new(&ledger, last.size);
    for checkpoint in seen {
        let root = tree::root_of(Algorithm::Sha256, &tiles, checkpoint.size).expect("tiles");
        assert_eq!(root, checkpoint.root, "the tree of {} entries", checkpoint.size);
    }
    stdout(&run(&["verify", &data.to_string_lossy()]), 0);
}
