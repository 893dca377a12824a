//! The machine: data folder, disk, memory, clock, logs, limits.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Access, access},
    process::{Resource, getrlimit},
};
use vedette_intake::receive::{Limits, journald};

use super::{Finding, Status};
use crate::{
    commands::top::bytes,
    config::{Config, GelfTransport, Switch, Transport},
    node::receivers,
};

/// What a small company needs.
const MEMORY: u64 = 512 << 20;
/// For every connection, followed file and segment that may be open at a time.
const DESCRIPTORS: u64 = 4096;
/// Acknowledgements wait for the disk; from here on it is felt.
const SLOW_SYNC: Duration = Duration::from_millis(25);

/// Looks at everything.
pub fn look(dir: &Path, config: &Config) -> Vec<Finding> {
    let mut findings = vec![folder(dir)];
    findings.extend(disk(dir, config));
    findings.extend(sync(dir));
    findings.extend([memory(), clock(), journal(config)]);
    findings.extend(local_files(config));
    findings.extend(udp_buffer(config));
    findings.push(descriptors());
    findings
}

/// Whether the data folder can be used by this user.
fn folder(dir: &Path) -> Finding {
    const CHECK: &str = "data folder";
    let shown = dir.display();
    let user = rustix::process::geteuid().as_raw();
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            Finding::bad(CHECK, Status::Fail, format!("{shown} is no folder"), "name another one with --data")
        }
        Ok(found) => {
            let mode = found.permissions().mode() & 0o777;
            let seen = format!("{shown}, owned by user {}, mode {mode:o}", found.uid());
            if access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
                let advice = format!("run this as its owner, or `chown -R {user} {shown}`");
                Finding::bad(CHECK, Status::Fail, format!("{seen}: user {user} cannot write there"), advice)
            } else if mode & 0o077 != 0 {
                let advice = format!("`chmod 700 {shown}`; `vedette up` does it, too");
                Finding::bad(CHECK, Status::Warn, format!("{seen}: others may look in"), advice)
            } else {
                Finding::ok(CHECK, seen)
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = existing(dir);
            match access(parent, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => Finding::ok(CHECK, format!("{shown} is not there yet; `vedette up` makes it")),
                Err(_) => Finding::bad(
                    CHECK,
                    Status::Fail,
                    format!("{shown} is not there, and user {user} cannot make it in {}", parent.display()),
                    format!("`install -d -m 700 -o {user} {shown}` as root, or name another folder with --data"),
                ),
            }
        }
        Err(error) => Finding::bad(
            CHECK,
            Status::Fail,
            format!("{shown}: {error}"),
            "run this as the user that the server runs as, or as root",
        ),
    }
}

/// The folder, or the nearest one above it that exists.
fn existing(dir: &Path) -> &Path {
    dir.ancestors().find(|dir| dir.exists() && !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Space, and what kind of file system it is.
fn disk(dir: &Path, config: &Config) -> Vec<Finding> {
    const CHECK: &str = "disk";
    let place = existing(dir);
    let space = match rustix::fs::statvfs(place) {
        Ok(space) => space,
        Err(error) => {
            let advice = "run this as the user that the server runs as";
            return vec![Finding::bad(CHECK, Status::Fail, format!("{}: {error}", place.display()), advice)];
        }
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let all = space.f_blocks.saturating_mul(space.f_frsize);
    let mut findings = vec![space_left(free, all, config.storage.min_free_bytes)];
    if let Ok(kind) = rustix::fs::statfs(place) {
        findings.push(file_system(u64::try_from(kind.f_type).unwrap_or_default()));
    }
    findings
}

fn space_left(free: u64, all: u64, least: u64) -> Finding {
    const CHECK: &str = "disk";
    let seen = format!("{} free of {}", bytes(free), bytes(all));
    let least_seen = format!("{seen}; intake stops below {} (storage.min_free_bytes)", bytes(least));
    if free < least {
        Finding::bad(CHECK, Status::Fail, least_seen, "free space, or put the data folder on another disk (--data)")
    } else if free < least.saturating_mul(4) || free < all / 20 {
        let advice = "free space, or lower storage.max_disk_percent, storage.max_bytes or storage.max_age_days";
        Finding::bad(CHECK, Status::Warn, least_seen, advice)
    } else {
        Finding::ok(CHECK, seen)
    }
}

/// By its number (`statfs(2)`).
fn file_system(kind: u64) -> Finding {
    const CHECK: &str = "file system";
    let memory = "what is stored there is gone after a restart; put the data folder on a disk (--data)";
    let network = "durability and locks depend on its server; put the data folder on a local disk (--data)";
    match kind {
        0x0102_1994 => Finding::bad(CHECK, Status::Warn, "tmpfs: memory, not a disk", memory),
        0x8584_58f6 => Finding::bad(CHECK, Status::Warn, "ramfs: memory, not a disk", memory),
        0x6969 => Finding::bad(CHECK, Status::Warn, "NFS", network),
        0xff53_4d42 | 0xfe53_4d42 => Finding::bad(CHECK, Status::Warn, "SMB", network),
        0x794c_7630 => Finding::bad(
            CHECK,
            Status::Warn,
            "overlay: a container's own layer",
            "what is stored there goes with the container; mount a volume for the data folder",
        ),
        0xef53 => Finding::ok(CHECK, "ext4"),
        0x5846_5342 => Finding::ok(CHECK, "XFS"),
        0x9123_683e => Finding::ok(CHECK, "Btrfs"),
        0x2fc1_2fc1 => Finding::ok(CHECK, "ZFS"),
        other => Finding::ok(CHECK, format!("of type {other:#x}")),
    }
}

/// How long the disk takes to make something durable. The file has no name and is gone afterwards.
fn sync(dir: &Path) -> Option<Finding> {
    const CHECK: &str = "disk sync";
    let measured = || -> io::Result<Duration> {
        let mut file = tempfile::tempfile_in(dir)?;
        let mut times = Vec::new();
        for _ in 0..9 {
            file.write_all(&[0; 4096])?;
            let began = Instant::now();
            file.sync_data()?;
            times.push(began.elapsed());
        }
        times.sort();
        Ok(times[times.len() / 2])
    };
    if !dir.is_dir() {
        return None;
    }
    Some(match measured() {
        Ok(time) => {
            let seen = format!("fdatasync takes {:.1} ms (median of 9)", time.as_secs_f64() * 1000.0);
            if time < SLOW_SYNC {
                Finding::ok(CHECK, seen)
            } else {
                let advice =
                    "senders wait so long for each acknowledgement; a disk with less to do, or an SSD, is faster";
                Finding::bad(CHECK, Status::Warn, seen, advice)
            }
        }
        Err(error) => {
            let advice = "see the data folder and the disk above";
            Finding::bad(CHECK, Status::Fail, format!("nothing can be made durable there: {error}"), advice)
        }
    })
}

/// Memory of the machine, or of this control group if that is less.
fn memory() -> Finding {
    const CHECK: &str = "memory";
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text));
    let limit = control_group_limit();
    let Some(memory) = machine.into_iter().chain(limit).min() else {
        return Finding::bad(CHECK, Status::Note, "cannot be read from /proc/meminfo", "is /proc mounted?");
    };
    let whose = if limit == Some(memory) { " (limit of the control group)" } else { "" };
    let seen = format!("{}{whose}", bytes(memory));
    if memory < MEMORY {
        let advice = format!("give it {}; with less, the kernel may end it under load", bytes(MEMORY));
        Finding::bad(CHECK, Status::Warn, seen, advice)
    } else {
        Finding::ok(CHECK, seen)
    }
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn control_group_limit() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let file = format!("/sys/fs/cgroup{}/memory.max", path.trim_end_matches('/'));
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Whether the clock follows others.
fn clock() -> Finding {
    const CHECK: &str = "clock";
    let now = crate::node::maintenance::now();
    if is_in_a_container() {
        return Finding::bad(
            CHECK,
            Status::Note,
            format!("{now}; it is the host's, and cannot be judged from inside a container"),
            "run `timedatectl` or `chronyc tracking` on the host",
        );
    }
    match is_synchronised() {
        Some((true, by)) => Finding::ok(CHECK, format!("{now}, synchronised ({by})")),
        Some((false, by)) => Finding::bad(
            CHECK,
            Status::Warn,
            format!("{now}, not synchronised ({by})"),
            "times of events and proofs are this clock's: `timedatectl set-ntp true`, or install chrony",
        ),
        None => Finding::bad(
            CHECK,
            Status::Warn,
            format!("{now}; neither timedatectl nor chronyc says whether it is synchronised"),
            "times of events and proofs are this clock's: install systemd-timesyncd or chrony",
        ),
    }
}

fn is_synchronised() -> Option<(bool, &'static str)> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Some((true, "systemd-timesyncd"));
    }
    if let Some(said) = output("timedatectl", &["show", "--property=NTPSynchronized", "--value"]) {
        return Some((said.trim() == "yes", "timedatectl"));
    }
    // Field 14 of `chronyc -c tracking` is the leap status.
    let tracking = output("chronyc", &["-c", "tracking"])?;
    Some((tracking.trim().rsplit(',').next() != Some("Not synchronised"), "chronyc"))
}

/// What a program of the system prints, if it is there and ends well.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn is_in_a_container() -> bool {
    ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"].iter().any(|path| Path::new(path).exists())
}

/// Whether the journal can be followed.
fn journal(config: &Config) -> Finding {
    const CHECK: &str = "journal";
    if config.receivers.journald == Switch::Off {
        return Finding::ok(CHECK, "not followed (receivers.journald: off)");
    }
    let status = if config.receivers.journald == Switch::On { Status::Fail } else { Status::Note };
    if let Err(why) = journald::available() {
        let advice = "this machine's log files are followed instead (receivers.local_files)";
        return Finding::bad(CHECK, status, why, advice);
    }
    if output("journalctl", &["--version"]).is_none() {
        let advice = "install systemd, whose journalctl reads it, or set receivers.journald to off";
        return Finding::bad(CHECK, Status::Fail, "there is no journalctl", advice);
    }
    let journals = |folder: &str| {
        let machines = fs::read_dir(folder).into_iter().flatten().flatten();
        machines.map(|machine| machine.path().join("system.journal")).filter(|file| file.exists()).collect::<Vec<_>>()
    };
    let files = ["/var/log/journal", "/run/log/journal"].map(journals).concat();
    match files.iter().find(|file| access(*file, Access::READ_OK).is_ok()) {
        Some(file) => Finding::ok(CHECK, format!("{} can be read", file.display())),
        None if files.is_empty() => Finding::bad(
            CHECK,
            Status::Note,
            "there is a folder for journals, and none of the system in it",
            "if systemd-journald runs here, add the user to the group systemd-journal; otherwise set receivers.journald to off",
        ),
        None => Finding::bad(
            CHECK,
            Status::Warn,
            "the system's journal cannot be read by this user: only the user's own entries come in",
            "add the user to the group systemd-journal",
        ),
    }
}

/// Log files that are there and cannot be read.
fn local_files(config: &Config) -> Option<Finding> {
    const CHECK: &str = "log files";
    let mut paths: Vec<&str> = Vec::new();
    if config.receivers.local_files {
        paths.extend(receivers::LOCAL_FILES);
        // A journal has these as well.
        if config.receivers.journald == Switch::Off || journald::available().is_err() {
            paths.extend(receivers::LOCAL_SYSLOG);
        }
    }
    paths.extend(config.receivers.files.iter().flat_map(|files| files.paths.iter().map(String::as_str)));
    if paths.is_empty() {
        return None;
    }
    let (mut readable, mut closed) = (0, Vec::new());
    for path in paths {
        // Of a pattern, the folder that it is about.
        let fixed = match path.find(['*', '?', '[']) {
            Some(wild) => Path::new(path[..wild].rsplit_once('/').map_or("", |(folder, _)| folder)),
            None => Path::new(path),
        };
        match access(fixed, Access::READ_OK) {
            Ok(()) => readable += 1,
            Err(rustix::io::Errno::NOENT) => {}
            Err(_) => closed.push(path),
        }
    }
    Some(match closed.is_empty() {
        true => Finding::ok(CHECK, format!("{readable} of the configured paths are there and can be read")),
        false => Finding::bad(
            CHECK,
            Status::Warn,
            format!("this user cannot read {}", closed.join(", ")),
            "add the user to the group adm, or to that of these files",
        ),
    })
}

/// Whether the kernel grants the receive buffer that UDP receivers ask for.
fn udp_buffer(config: &Config) -> Option<Finding> {
    let syslog = config.receivers.syslog().all.iter().any(|syslog| syslog.transport == Transport::Udp);
    let gelf = config.receivers.gelf().all.iter().any(|gelf| gelf.transport == GelfTransport::Udp);
    if !syslog && !gelf {
        return None;
    }
    let cap: u64 = fs::read_to_string("/proc/sys/net/core/rmem_max").ok()?.trim().parse().ok()?;
    Some(buffer(
        cap,
        Limits::default().udp_buffer_bytes as u64,
        super::kernel::has_capability(super::kernel::NET_ADMIN),
    ))
}

fn buffer(cap: u64, wanted: u64, may_exceed: bool) -> Finding {
    const CHECK: &str = "net.core.rmem_max";
    let sizes = format!("{}, and UDP receivers ask for {}", bytes(cap), bytes(wanted));
    if cap >= wanted {
        return Finding::ok(CHECK, sizes);
    }
    let advice = format!("`sysctl -w net.core.rmem_max={wanted}`, and in /etc/sysctl.d for good");
    if may_exceed {
        let seen =
            format!("{sizes}: this user gets it all the same (CAP_NET_ADMIN), the packaged unit's user does not");
        return Finding::bad(CHECK, Status::Note, seen, advice);
    }
    let seen = format!("{sizes}: bursts of datagrams may be lost in the kernel");
    Finding::bad(CHECK, Status::Warn, seen, advice)
}

fn descriptors() -> Finding {
    const CHECK: &str = "file descriptors";
    let limit = getrlimit(Resource::Nofile);
    match limit.current {
        Some(current) if current < DESCRIPTORS => Finding::bad(
            CHECK,
            Status::Warn,
            format!("at most {current}: many senders or followed files may use them up"),
            "`ulimit -n 65536` before `vedette up`, or LimitNOFILE=65536 in its unit",
        ),
        Some(current) => Finding::ok(CHECK, format!("at most {current}")),
        None => Finding::ok(CHECK, "without a limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_judged_by_what_intake_needs() {
        let gib = 1 << 30;
        let status = |free, all| space_left(free, all, gib).status;
        assert_eq!(status(gib - 1, 100 * gib), Status::Fail);
        assert_eq!(status(3 * gib, 40 * gib), Status::Warn);
        assert_eq!(status(5 * gib, 1000 * gib), Status::Warn, "a twentieth");
        assert_eq!(status(60 * gib, 1000 * gib), Status::Ok);
    }

    #[test]
    fn what_is_no_disk_is_named() {
        assert_eq!(file_system(0x0102_1994).status, Status::Warn);
        assert_eq!(file_system(0xef53), Finding::ok("file system", "ext4"));
    }

    #[test]
    fn numbers_of_the_kernel() {
        assert_eq!(total_memory("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(total_memory("nothing"), None);
        assert_eq!(buffer(212_992, 4 << 20, false).status, Status::Warn);
        assert_eq!(buffer(212_992, 4 << 20, true).status, Status::Note);
        assert_eq!(buffer(8 << 20, 4 << 20, false).status, Status::Ok);
    }

    #[test]
    fn a_folder_is_closed_to_others() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let dir = temporary.path().join("data");
        assert_eq!(folder(&dir).status, Status::Ok);
        fs::create_dir(&dir).expect("a temporary folder");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("a temporary folder");
        assert_eq!(folder(&dir).status, Status::Warn);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("a temporary folder");
        assert_eq!(folder(&dir).status, Status::Ok);
        fs::write(dir.join("file"), "").expect("a temporary folder");
        assert_eq!(folder(&dir.join("file")).status, Status::Fail);
    }
}
