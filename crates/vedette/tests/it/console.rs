//! The console from a folder, in the running binary.

use std::{fs, io::BufReader, io::Write, os::unix::net::UnixStream};

use crate::harness::{PATIENCE, RECEIVERS, Running, folder, read_answer, stdout, vedette};

fn get(running: &Running, path: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(running.data().join("vedette.sock")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: local\r\nconnection: close\r\n\r\n").expect("it reads");
    read_answer(&mut BufReader::new(stream)).expect("an answer")
}

#[test]
fn a_folder_is_the_console() {
    let folder = folder();
    let dist = folder.path().join("dist");
    fs::create_dir_all(dist.join("assets")).expect("writable");
    let up = |argument: &str| {
        let mut command = vedette();
        command.arg("up").arg("--data").arg(folder.path().join("other")).arg("--console-dir").arg(argument);
        command.output().expect("the binary starts")
    };
    let refused = up(&dist.to_string_lossy());
    stdout(&refused, 2);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("build the console first"), "{refused:?}");

    fs::write(dist.join("index.html"), "<h1>Console</h1>").expect("writable");
    fs::write(dist.join("assets/main-1.js"), "1").expect("writable");
    let config = RECEIVERS.replace("console: {", &format!("console: {{dir: {:?}, ", dist.to_string_lossy()));
    let running = Running::start(folder.path(), &config);
    assert_eq!(get(&running, "/alerts/1"), (200, "<h1>Console</h1>".to_owned()));
    assert_eq!(get(&running, "/assets/main-1.js"), (200, "1".to_owned()));
    assert_eq!(get(&running, "/assets/main-2.js").0, 404);
    assert!(get(&running, "/plain").1.contains("Overview"));
    assert_eq!(get(&running, "/../data/users.db"), (200, "<h1>Console</h1>".to_owned()));
}
