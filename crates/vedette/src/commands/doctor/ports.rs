//! The configured listeners: is their port free, and if not, whose is it?

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use super::{Finding, Status};
use crate::config::{Config, GelfTransport, Transport};

/// One port that is wanted.
struct Wanted {
    name: &'static str,
    listen: SocketAddr,
    is_datagram: bool,
    /// Nobody asked for it: it is left out where its port is taken.
    by_default: bool,
}

/// Looks at every configured listener. While the server runs, its ports are taken, by it.
pub fn look(config: &Config, is_running: bool) -> Vec<Finding> {
    wanted(config).iter().filter(|wanted| wanted.listen.port() != 0).map(|wanted| judge(wanted, is_running)).collect()
}

fn wanted(config: &Config) -> Vec<Wanted> {
    let receivers = &config.receivers;
    let mut all =
        vec![Wanted { name: "console", listen: config.console.listen, is_datagram: false, by_default: false }];
    let mut add = |name, listen, is_datagram, by_default| {
        all.push(Wanted { name, listen, is_datagram, by_default });
    };
    let syslog = receivers.syslog();
    for at in &syslog.all {
        add("syslog", at.listen, at.transport == Transport::Udp, syslog.by_default);
    }
    let relp = receivers.relp();
    relp.all.iter().for_each(|at| add("relp", at.listen, false, relp.by_default));
    let http = receivers.http();
    http.all.iter().for_each(|at| add("http", at.listen, false, http.by_default));
    let grpc = receivers.otlp_grpc();
    grpc.all.iter().for_each(|at| add("otlp-grpc", at.listen, false, grpc.by_default));
    let lumberjack = receivers.lumberjack();
    lumberjack.all.iter().for_each(|at| add("lumberjack", at.listen, false, lumberjack.by_default));
    let gelf = receivers.gelf();
    for at in &gelf.all {
        add("gelf", at.listen, at.transport == GelfTransport::Udp, gelf.by_default);
    }
    let fluent = receivers.fluent();
    fluent.all.iter().for_each(|at| add("fluent", at.listen, false, fluent.by_default));
    all
}

fn judge(wanted: &Wanted, is_running: bool) -> Finding {
    let protocol = if wanted.is_datagram { "udp" } else { "tcp" };
    let check = format!("port {}/{protocol}", wanted.listen.port());
    let what = format!("{} on {}", wanted.name, wanted.listen);
    let bound = match wanted.is_datagram {
        true => UdpSocket::bind(wanted.listen).map(drop),
        false => TcpListener::bind(wanted.listen).map(drop),
    };
    match bound {
        Ok(()) if is_running => Finding::bad(
            &check,
            Status::Warn,
            format!("{what}: free, although a server runs on this data folder"),
            "the server runs with another configuration (name it with --config), or could not listen: its log says why",
        ),
        Ok(()) => Finding::ok(&check, format!("{what}: free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let holder = holder(wanted.listen.port(), wanted.is_datagram);
            let is_ours = holder.as_deref().is_none_or(|holder| holder.starts_with("vedette"));
            let taken =
                format!("{what}: taken by {}", holder.as_deref().unwrap_or("a process that cannot be seen from here"));
            match (is_running && is_ours, wanted.by_default) {
                (true, _) => Finding::ok(&check, taken),
                (false, true) => Finding::bad(
                    &check,
                    Status::Warn,
                    taken,
                    format!(
                        "{} is left out while it is; stop the other program, or configure another port",
                        wanted.name
                    ),
                ),
                (false, false) => Finding::bad(
                    &check,
                    Status::Fail,
                    taken,
                    "`vedette up` will not start: stop the other program, or configure another port",
                ),
            }
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::bad(
            &check,
            Status::Fail,
            format!("{what}: not allowed to this user"),
            "give AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or use a port from 1024 on",
        ),
        Err(error) => Finding::bad(
            &check,
            Status::Fail,
            format!("{what}: {error}"),
            "`ip address` shows the addresses that this machine has",
        ),
    }
}

/// The process that has a port, as far as this user may see it: `rsyslogd (process 812)`.
fn holder(port: u16, is_datagram: bool) -> Option<String> {
    let tables = if is_datagram { ["udp", "udp6"] } else { ["tcp", "tcp6"] };
    let sockets: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/net/{table}")).ok())
        .flat_map(|table| inodes(&table, port, is_datagram))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok()).find_map(|process| {
        let mut open = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten();
        let has = open.any(|file| {
            fs::read_link(file.path())
                .is_ok_and(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
        });
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        has.then(|| format!("{} (process {process})", name.trim()))
    })
}

/// Sockets that are bound to a port, from a table of `/proc/net` (`proc(5)`): listening ones, if it is TCP.
fn inodes(table: &str, port: u16, is_datagram: bool) -> Vec<u64> {
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let local = u16::from_str_radix(columns.get(1)?.rsplit(':').next()?, 16).ok()?;
        let listens = is_datagram || *columns.get(3)? == "0A";
        let inode: u64 = columns.get(9)?.parse().ok()?;
        (local == port && listens && inode != 0).then_some(inode)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:158A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0\n   \
            1: 0100007F:158A 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0\nodd\n";
        assert_eq!(inodes(table, 5514, false), [4711]);
        assert_eq!(inodes(table, 5514, true), [4711, 4712]);
        assert!(inodes(table, 1, false).is_empty());
    }

    #[test]
    fn a_taken_port_names_who_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let listen = taken.local_addr().expect("a port");
        let wanted = |by_default| Wanted { name: "relp", listen, is_datagram: false, by_default };
        let finding = judge(&wanted(false), false);
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.detail.contains(&format!("(process {})", std::process::id())), "{}", finding.detail);
        assert_eq!(judge(&wanted(true), false).status, Status::Warn);
        drop(taken);
        assert_eq!(judge(&wanted(false), false).status, Status::Ok);
        assert_eq!(judge(&wanted(false), true).status, Status::Warn);
    }
}
