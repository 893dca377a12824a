//! `vedette sealer`: the process that has the ledger's keys, behind a socket on its standard input.
//!
//! It has no network, may touch nothing but its own folder, and cannot start anything. Whoever takes over the monitor can have
//! it sign what comes next, but can neither read its keys nor have it sign another past.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
};

use anyhow::Context;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tokio::signal::unix::{SignalKind, signal};
use vedette_ledger::{Sealer, remote};

use crate::{Outcome, cli::SealerArgs, node::maintenance::now};

/// Runs the command until the other end of its standard input is closed.
pub fn run(args: SealerArgs) -> anyhow::Result<Outcome> {
    rustix::thread::set_name(c"vedette-sealer").context("cannot name the process")?;
    let stdin = io::stdin().as_fd().try_clone_to_owned().context("there is no standard input")?;
    let stream = UnixStream::from(stdin);
    // Whoever stops the monitor stops all of its processes; this one ends after the last checkpoint.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    let _ignored = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    // Nobody reads its memory: not by a debugger, not from a core file.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("cannot guard the sealer's memory")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let mut sealer = Sealer::open(&args.keys, &args.origin, now().micros())?;
    confine(&args.keys);
    remote::serve(&mut sealer, &stream, &stream)?;
    Ok(Outcome::Fine)
}

/// Gives up every right that signing does not need. What the kernel cannot do is said, and left.
fn confine(keys: &Path) {
    match confine_files(keys) {
        Ok(RulesetStatus::FullyEnforced) => {}
        Ok(status) => {
            tracing::warn!(?status, "this kernel confines the sealer's files and network only in part (landlock)")
        }
        Err(error) => tracing::warn!("the sealer's files and network are not confined (landlock): {error:#}"),
    }
    if let Err(error) = confine_calls() {
        tracing::warn!("the sealer's system calls are not confined (seccomp): {error:#}");
    }
}

fn confine_files(keys: &Path) -> anyhow::Result<RulesetStatus> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules([keys], AccessFs::from_all(abi)))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// What reading requests, signing and replacing small files need. Everything else fails.
fn confine_calls() -> anyhow::Result<()> {
    let mut allowed = vec![
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_openat,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_lseek,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_unlinkat,
        libc::SYS_fcntl,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_mmap,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_epoll_ctl,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    #[cfg(target_arch = "x86_64")]
    allowed.extend([libc::SYS_rename, libc::SYS_link, libc::SYS_unlink, libc::SYS_stat, libc::SYS_lstat]);
    let rules = allowed.into_iter().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)?;
    Ok(())
}
