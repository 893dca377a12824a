//! What the kernel offers: what confines the sealer today, and what sensors will need.

use std::{fs, path::Path};

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};

use super::{Finding, Status};

/// Numbers of capabilities (`linux/capability.h`).
pub const NET_ADMIN: u32 = 12;
const CAPABILITIES: [(u32, &str); 9] = [
    (2, "dac_read_search"),
    (10, "net_bind_service"),
    (NET_ADMIN, "net_admin"),
    (13, "net_raw"),
    (19, "sys_ptrace"),
    (21, "sys_admin"),
    (37, "audit_read"),
    (38, "perfmon"),
    (39, "bpf"),
];

/// Looks at everything.
pub fn look() -> Vec<Finding> {
    let uname = rustix::system::uname();
    let name = format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy());
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    vec![
        Finding::ok("kernel", name),
        landlock(version_of_landlock()),
        seccomp(&actions),
        type_format(Path::new("/sys/kernel/btf/vmlinux").exists()),
        capabilities(effective()),
    ]
}

/// The newest version of landlock that the kernel has as a whole. A ruleset is made, and nothing is restricted by it.
fn version_of_landlock() -> Option<u32> {
    let versions = [(6, ABI::V6), (5, ABI::V5), (4, ABI::V4), (3, ABI::V3), (2, ABI::V2), (1, ABI::V1)];
    let has = |abi: ABI| {
        let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let rules = rules.handle_access(AccessFs::from_all(abi));
        let rules = match landlock::AccessNet::from_all(abi) {
            none if none.is_empty() => rules,
            net => rules.and_then(|rules| rules.handle_access(net)),
        };
        let rules = match landlock::Scope::from_all(abi) {
            none if none.is_empty() => rules,
            scope => rules.and_then(|rules| rules.scope(scope)),
        };
        rules.and_then(Ruleset::create).is_ok()
    };
    versions.into_iter().find_map(|(number, abi)| has(abi).then_some(number))
}

fn landlock(version: Option<u32>) -> Finding {
    const CHECK: &str = "landlock";
    match version {
        Some(6..) => Finding::ok(CHECK, "confines the sealer's files, network and signals"),
        Some(version @ 4..) => Finding::ok(CHECK, format!("version {version} confines the sealer's files and network")),
        Some(version) => Finding::bad(
            CHECK,
            Status::Warn,
            format!("version {version} confines the sealer's files, not its network"),
            "a kernel from 6.7 on confines both; until then seccomp keeps it from opening sockets",
        ),
        None => Finding::bad(
            CHECK,
            Status::Warn,
            "this kernel has none, or a container forbids it: the sealer can reach more files than its keys",
            "boot with `lsm=landlock,…` on a kernel from 5.13 on, or let the container's seccomp profile allow landlock_*",
        ),
    }
}

fn seccomp(actions: &str) -> Finding {
    const CHECK: &str = "seccomp";
    match actions.split_whitespace().any(|action| action == "errno") {
        true => Finding::ok(CHECK, "confines the sealer's system calls"),
        false => Finding::bad(
            CHECK,
            Status::Warn,
            "this kernel has no filters for system calls: the sealer's are not confined",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ),
    }
}

fn type_format(is_there: bool) -> Finding {
    const CHECK: &str = "BTF";
    match is_there {
        true => Finding::ok(CHECK, "/sys/kernel/btf/vmlinux is there, as the endpoint sensor will need it"),
        false => Finding::bad(
            CHECK,
            Status::Note,
            "/sys/kernel/btf/vmlinux is not there; the endpoint sensor will need it, nothing does today",
            "use a kernel with CONFIG_DEBUG_INFO_BTF, as Debian's from 11 on",
        ),
    }
}

/// This process' effective capabilities, as bits.
fn effective() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(bits.trim(), 16).ok()
}

/// Whether this process has a capability.
pub fn has_capability(number: u32) -> bool {
    effective().is_some_and(|bits| bits >> number & 1 == 1)
}

fn capabilities(bits: Option<u64>) -> Finding {
    const CHECK: &str = "capabilities";
    let bits = bits.unwrap_or_default();
    let (have, lack): (Vec<_>, Vec<_>) = CAPABILITIES.iter().partition(|(number, _)| bits >> number & 1 == 1);
    let names = |list: &[&(u32, &'static str)]| list.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    if lack.is_empty() {
        return Finding::ok(CHECK, "every one that a receiver or a later sensor may need");
    }
    let have = if have.is_empty() { "none".to_owned() } else { names(&have) };
    Finding::bad(
        CHECK,
        Status::Note,
        format!("has {have}; lacks {}", names(&lack)),
        "receivers need net_bind_service for ports below 1024; the others are for sensors to come. \
            Give them with AmbientCapabilities= in the unit",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_advice() {
        assert_eq!(landlock(Some(6)).status, Status::Ok);
        for finding in [landlock(Some(1)), landlock(None), seccomp("kill allow"), type_format(false)] {
            assert!(finding.status > Status::Ok && finding.advice.is_some(), "{finding:?}");
        }
        assert_eq!(seccomp("kill_process errno allow\n").status, Status::Ok);
    }

    #[test]
    fn capabilities_are_named() {
        let seen = capabilities(Some(1 << 10));
        assert_eq!(seen.status, Status::Note);
        assert!(seen.detail.starts_with("has net_bind_service; lacks dac_read_search, net_admin"), "{}", seen.detail);
        assert_eq!(capabilities(Some(u64::MAX)).status, Status::Ok);
        assert!(capabilities(None).detail.starts_with("has none"));
    }
}
