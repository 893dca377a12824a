//! Anchors: checkpoints that a time-stamping authority put its time on. The authority is OpenSSL's (`openssl ts`), with a few lines
//! of HTTP before it.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use vedette_ledger::{anchors::AnchorFile, timestamp::Roots};
use vedette_verify::{Kind, Policy, Report};

use crate::{
    harness::{RECEIVERS, Running, folder, json_lines, must, run, stdout, wait_until},
    proofs::{copy, edit, files, second_opinion},
};

/// How an authority answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Something that is no reply.
    Garbage,
    /// A reply without an end.
    Endless,
    /// Not at all.
    Silent,
    /// With a token over the right hash that somebody else asked for.
    OtherNonce,
    /// With a token over another hash.
    OtherHash,
    /// With a refusal.
    Refusing,
}

/// An authority on loopback.
struct Authority {
    dir: PathBuf,
    address: SocketAddr,
    /// The hashes that it was asked about.
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

fn openssl(dir: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("openssl").current_dir(dir).args(arguments).output();
    output.expect("`scripts/needs test` installs openssl")
}

const CONFIG: &str = "\
[tsa]\ndefault_tsa = this\n[this]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\nsigner_digest = sha256\n\
default_policy = 1.2.3.4.1\ndigests = sha256\naccuracy = secs:1\nordering = no\ntsa_name = yes\ness_cert_id_chain = no\n";

impl Authority {
    /// Makes its keys and lets it listen. `key` is as `openssl req -newkey` has it; `more` is its configuration's end.
    fn start(dir: &Path, name: &str, key: &[&str], more: &str, manner: Manner) -> Authority {
        let dir = dir.join(name);
        fs::create_dir(&dir).expect("a folder");
        let subject = format!("/O=Example/CN={name}");
        let ca = ["-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "10", "-subj", &format!("{subject} CA")];
        must(&openssl(&dir, &[&["req", "-nodes", "-newkey"], key, &ca].concat()));
        let request = ["-keyout", "tsa.key", "-out", "tsa.csr", "-subj", &subject];
        must(&openssl(&dir, &[&["req", "-nodes", "-newkey"], key, &request].concat()));
        let put = |name: &str, text: &str| fs::write(dir.join(name), text).expect("it is written");
        put("extensions", "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=critical,timeStamping\n");
        put("tsa.cnf", &format!("{CONFIG}{more}"));
        put("serial", "01\n");
        let sign = ["x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        must(&openssl(&dir, &[&sign[..], &["-days", "10", "-extfile", "extensions", "-out", "tsa.pem"]].concat()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::default();
        let (server, answering) = ((dir.clone(), manner), Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                // A monitor that gave up is no failure of the authority.
                if let Ok(Some(stream)) = answer(stream, &server.0, server.1, &answering) {
                    open.push(stream);
                }
            }
        });
        Authority { dir, address, asked }
    }

    fn rsa(dir: &Path, name: &str, manner: Manner) -> Authority {
        Authority::start(dir, name, &["rsa:2048"], "", manner)
    }

    fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// As an element of `ledger.anchors`.
    fn config(&self, ca: &Path) -> String {
        format!("{{url: \"http://{}/tsr\", ca: \"{}\", every_seconds: 1}}", self.address, ca.display())
    }

    /// A line of a policy.
    fn policy(&self) -> String {
        let pem = fs::read_to_string(self.ca()).expect("a certificate");
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        format!("tsa {base64}\n")
    }

    /// A reply to a query.
    fn reply(dir: &Path, query: &[u8]) -> Vec<u8> {
        fs::write(dir.join("query"), query).expect("it is written");
        must(&openssl(dir, &["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"]));
        fs::read(dir.join("reply")).expect("a reply")
    }
}

/// Answers one request. A stream that comes back stays open without an answer.
fn answer(
    mut stream: TcpStream,
    dir: &Path,
    manner: Manner,
    asked: &Mutex<Vec<Vec<u8>>>,
) -> std::io::Result<Option<TcpStream>> {
    let mut request = Vec::new();
    let (head, length) = loop {
        let mut buffer = [0; 1024];
        let len = stream.read(&mut buffer)?;
        request.extend(&buffer[..len]);
        let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let length = length.expect("a length");
        if request.len() >= end + 4 + length {
            break (head, length);
        }
    };
    assert!(head.starts_with("post /tsr http/1.1"), "{head}");
    assert!(head.contains("content-type: application/timestamp-query"), "{head}");
    let query = &request[request.len() - length..];
    // The hash stands behind its tag and length.
    let at = query.windows(2).position(|window| window == [0x04, 0x20]).expect("a hash") + 2;
    let imprint = &query[at..at + 32];
    asked.lock().expect("nobody panics").push(imprint.to_vec());
    let mut put = |head: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\n{head}\r\n");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body))
    };
    let own_query = |arguments: &[&str]| {
        must(&openssl(dir, &[&["ts", "-query", "-cert", "-out", "own"], arguments].concat()));
        fs::read(dir.join("own")).expect("a query")
    };
    let body = match manner {
        Manner::Honest => Authority::reply(dir, query),
        Manner::Garbage => b"<html>this is not an authority</html>".to_vec(),
        Manner::Silent => return Ok(Some(stream)),
        Manner::Endless => {
            put("", b"")?;
            while put("", &[0x30; 4096]).is_ok() {}
            return Ok(None);
        }
        Manner::OtherNonce => {
            let digest: String = imprint.iter().map(|byte| format!("{byte:02x}")).collect();
            Authority::reply(dir, &own_query(&["-sha256", "-digest", &digest]))
        }
        Manner::OtherHash => {
            let mut query = query.to_vec();
            query[at] ^= 1;
            Authority::reply(dir, &query)
        }
        Manner::Refusing => Authority::reply(dir, &own_query(&["-sha512", "-data", "serial"])),
    };
    put(&format!("content-length: {}\r\n", body.len()), &body)?;
    Ok(None)
}

fn config(anchors: &[String]) -> String {
    format!("{RECEIVERS}ledger: {{anchors: [{}]}}\n", anchors.join(", "))
}

fn tokens(data: &Path) -> Vec<PathBuf> {
    let is_token = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tsr");
    files(data, "ledger/anchors").into_iter().filter(is_token).collect()
}

/// The checkpoint that a token is about.
fn checkpoint_of(token: &Path) -> PathBuf {
    let name = token.file_name().and_then(|name| name.to_str()).expect("a name");
    let size = AnchorFile::parse(name).expect("a token").size();
    token.with_file_name(format!("{size}.checkpoint"))
}

/// A data folder with `count` anchors or more of an authority.
fn anchored(folder: &Path, authority: &Authority, count: usize) -> PathBuf {
    let running = Running::start(folder, &config(&[authority.config(&authority.ca())]));
    let data = running.data();
    let stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    wait_until("there are anchors", || {
        // So that the log grows.
        writeln!(&stream, "<38>Nov 21 04:11:52 web1 app[1]: one more").expect("sent");
        tokens(&data).len() >= count
    });
    assert!(running.stop().success());
    data
}

fn verify(data: &Path, policy: &Policy) -> Report {
    vedette_verify::verify(data, policy, false, &mut |_| {})
}

fn kinds(report: &Report) -> Vec<Kind> {
    report.problems.iter().map(|problem| problem.kind).collect()
}

fn check_authority(key: &[&str], more: &str) {
    let folder = folder();
    let authority = Authority::start(folder.path(), "Stamps", key, more, Manner::Honest);
    let data = anchored(folder.path(), &authority, 2);
    let asked = authority.asked.lock().expect("nobody panics").clone();
    assert!(asked.iter().enumerate().all(|(at, hash)| !asked[..at].contains(hash)), "asked twice about one checkpoint");
    for token in tokens(&data) {
        let (token, checkpoint) = (token.to_string_lossy(), checkpoint_of(&token));
        let verify = ["ts", "-verify", "-CAfile", "ca.pem", "-in", &token, "-data", &checkpoint.to_string_lossy()];
        must(&openssl(&authority.dir, &verify));
    }
    assert_eq!(second_opinion(&data), "");
    let count = tokens(&data).len() as u64;
    let path = data.to_string_lossy().into_owned();
    let said = |arguments: &[&str]| stdout(&run(&[&["verify", &path], arguments].concat()), 0);
    let text = said(&[]);
    assert!(text.contains(&format!("{count} anchors: the first ")), "{text}");
    assert!(text.contains(", says CN=Stamps,O=Example\n"), "{text}");
    assert!(text.contains("anchors: whose they are was not checked"), "{text}");
    let policy = folder.path().join("keys.txt");
    fs::write(&policy, authority.policy()).expect("it is written");
    let policy = policy.to_string_lossy();
    assert!(!said(&["--policy", &policy]).contains("was not checked"));
    let checked: &Value = &json_lines(&said(&["--policy", &policy, "-o", "json"]))[0]["checked"];
    assert_eq!((&checked["anchors"], &checked["anchors_pinned"]), (&count.into(), &true.into()));
    let newest = &checked["anchored"];
    assert!(newest["before"].as_i64().is_some_and(|time| time > 1_700_000_000), "{newest}");
    assert!(
        newest["entries"].as_u64() <= checked["entries"].as_u64() && newest["entries"].as_u64() > Some(1),
        "{newest}"
    );

    // Evidence has the first anchor of what is in it.
    let bundle = folder.path().join("case.vev").to_string_lossy().into_owned();
    let export = ["evidence", "export", "--query", "process.name:app", "--data", &path, "-o", &bundle];
    stdout(&run(&export), 0);
    let checked = stdout(&run(&["verify", &bundle, "--policy", &policy, "-o", "json"]), 0);
    let checked: &Value = &json_lines(&checked)[0]["checked"];
    assert!(checked["anchors"].as_u64() >= Some(1) && checked["anchors_pinned"] == true, "{checked}");
    assert!(checked["anchored"]["entries"].as_u64() <= checked["entries"].as_u64(), "{checked}");
    let python = crate::harness::root().join("target/test-venv/bin/python");
    let script = crate::harness::root().join("tests/verify_evidence.py");
    must(&Command::new(python).arg(script).arg(&bundle).output().expect("the environment"));
}

#[test]
fn an_authority_with_an_rsa_key_anchors_checkpoints() {
    check_authority(&["rsa:2048"], "ess_cert_id_alg = sha256\n");
}

#[test]
fn an_authority_with_an_ec_key_anchors_checkpoints() {
    check_authority(
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "ess_cert_id_alg = sha1\nclock_precision_digits = 3\n",
    );
}

#[test]
fn changed_anchors_are_found() {
    let folder = folder();
    let authority = Authority::rsa(folder.path(), "Stamps", Manner::Honest);
    let other = Authority::rsa(folder.path(), "Others", Manner::Honest);
    let data = anchored(folder.path(), &authority, 2);
    let mut policy = Policy::parse(&authority.policy()).expect("a policy");
    let whole = verify(&data, &policy);
    assert_eq!(whole.problems, []);
    let [one, two] = &tokens(&data)[..2] else { panic!("two tokens") };
    let changed = |change: &dyn Fn(&Path)| {
        let copied = folder.path().join("changed");
        copy(&data, &copied);
        change(&copied.join("ledger/anchors"));
        let report = verify(&copied, &policy);
        let second = second_opinion(&copied);
        fs::remove_dir_all(&copied).expect("the copy goes");
        (report, second)
    };
    let name = |path: &Path| path.file_name().expect("a name").to_owned();

    let (report, second) = changed(&|dir| {
        fs::copy(dir.join(name(one)), dir.join(name(two))).expect("a copy");
    });
    assert_eq!(kinds(&report), [Kind::Forged]);
    assert!(report.problems[0].to_string().ends_with("the token is about something else"), "{:?}", report.problems);
    assert_eq!(report.problems[0].file.as_deref(), two.strip_prefix(&data).expect("inside").to_str());
    assert!(!second.is_empty());
    let (report, second) = changed(&|dir| fs::remove_file(dir.join(name(&checkpoint_of(one)))).expect("it goes"));
    assert_eq!(kinds(&report), [Kind::Missing]);
    assert!(!second.is_empty());
    let (report, second) = changed(&|dir| fs::write(dir.join("readme.txt"), "hello").expect("it is written"));
    assert_eq!(kinds(&report), [Kind::Extra]);
    assert_eq!(second, "", "only anchors are its business");
    // Nobody can tell an anchor that was deleted from one that never was.
    let (report, second) = changed(&|dir| fs::remove_dir_all(dir).expect("it goes"));
    assert_eq!((kinds(&report), report.facts.anchors, second.as_str()), (vec![], 0, ""));

    // A token of somebody else is one, but not of whom the policy names.
    let checkpoint = fs::read(checkpoint_of(one)).expect("a checkpoint");
    fs::write(other.dir.join("note"), checkpoint).expect("it is written");
    must(&openssl(&other.dir, &["ts", "-query", "-cert", "-sha256", "-data", "note", "-out", "own"]));
    let reply = Authority::reply(&other.dir, &fs::read(other.dir.join("own")).expect("a query"));
    let (report, second) = changed(&|dir| fs::write(dir.join(name(one)), &reply).expect("it is written"));
    assert_eq!(kinds(&report), [Kind::Forged]);
    let said = report.problems[0].to_string();
    assert!(said.contains("none of the authorities that are believed certifies it"), "{said}");
    assert_eq!(second, "", "it knows no policy");

    // Bit after bit. Few bytes of a token are not signed by anybody, and say nothing.
    let copied = folder.path().join("changed");
    copy(&data, &copied);
    policy.authorities = Roots::from_pem(&fs::read(authority.ca()).expect("a certificate")).expect("a certificate");
    for path in [name(one), name(&checkpoint_of(one))] {
        let path = copied.join("ledger/anchors").join(path);
        let bytes = fs::read(&path).expect("it is there");
        let (mut flips, mut unnoticed) = (0, 0);
        for at in (0..bytes.len()).step_by(3) {
            edit(&path, |bytes| bytes[at] ^= 1 << (at % 8));
            let report = verify(&copied, &policy);
            flips += 1;
            if report.problems.is_empty() {
                assert_eq!(report.facts, whole.facts, "byte {at} of {}", path.display());
                unnoticed += 1;
            }
            fs::write(&path, &bytes).expect("it is written");
        }
        let is_token = path.extension().is_some_and(|extension| extension == "tsr");
        assert!(unnoticed <= if is_token { flips / 50 } else { 0 }, "{unnoticed} of {flips}: {}", path.display());
    }
}

/// An anchor is somebody who has seen a later checkpoint.
#[test]
fn an_anchor_tells_that_a_folder_was_set_back() {
    let folder = folder();
    let authority = Authority::rsa(folder.path(), "Stamps", Manner::Honest);
    let data = anchored(folder.path(), &authority, 1);
    let old = folder.path().join("old");
    copy(&data, &old);
    // The first of them may still be of the end of what was copied.
    anchored(folder.path(), &authority, tokens(&old).len() + 2);
    assert_eq!(verify(&old, &Policy::default()).problems, []);
    copy(&data.join("ledger/anchors"), &old.join("ledger/anchors"));
    let report = verify(&old, &Policy::default());
    assert!(report.problems.iter().all(|problem| problem.kind == Kind::RolledBack), "{:?}", report.problems);
    assert!(!report.problems.is_empty());
    assert!(!second_opinion(&old).is_empty());
}

#[test]
fn bad_authorities_do_no_harm() {
    let folder = folder();
    let start = |manner| Authority::rsa(folder.path(), &format!("{manner:?}"), manner);
    let honest = start(Manner::Honest);
    let bad = [
        (start(Manner::Garbage), "its answer: the reply cannot be read"),
        (start(Manner::Endless), "length limit exceeded"),
        (start(Manner::Silent), "it does not answer in time"),
        (start(Manner::OtherNonce), "it answers another request"),
        (start(Manner::OtherHash), "the token is about something else"),
        (start(Manner::Refusing), "Message digest algorithm is not supported"),
    ];
    let mut anchors: Vec<String> = bad.iter().map(|(authority, _)| authority.config(&authority.ca())).collect();
    // Also one whose certificate does not come from where it should, and one that is not there.
    let wrong = Authority::rsa(folder.path(), "Wrong", Manner::Honest);
    anchors.push(wrong.config(&honest.ca()));
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    anchors.push(format!("{{url: \"http://{nobody}/tsr\", ca: \"{}\"}}", honest.ca().display()));
    anchors.push(honest.config(&honest.ca()));
    let running = Running::start(folder.path(), &config(&anchors));
    let data = running.data();
    let said = ["none of the authorities that are believed certifies it", "cannot connect to"];
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    for what in bad.iter().map(|(_, what)| *what).chain(said) {
        wait_until(what, || log().contains(what));
    }
    wait_until("the honest one is heard", || !tokens(&data).is_empty());
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    writeln!(stream, "<38>Nov 21 04:11:52 web1 app[1]: still here").expect("sent");
    running.wait_for_count("\"still here\" -event.module:vedette", 1);
    // What is wrong with one is said once, however often it is asked.
    wait_until("they were asked again", || {
        bad.iter().all(|(authority, _)| authority.asked.lock().expect("nobody panics").len() > 1)
    });
    assert_eq!(log().matches("it answers another request").count(), 1);
    assert!(running.stop().success());
    let policy = Policy::parse(&honest.policy()).expect("a policy");
    let report = verify(&data, &policy);
    assert_eq!(report.problems, []);
    assert!(report.facts.anchors > 0);
}

#[test]
fn a_wrong_configuration_is_refused() {
    let folder = folder();
    let file = folder.path().join("vedette.yml");
    let ca = folder.path().join("ca.pem");
    let check = |url: &str| {
        fs::write(&file, format!("ledger: {{anchors: [{{url: \"{url}\", ca: \"{}\"}}]}}\n", ca.display()))
            .expect("written");
        let output = run(&["check", "--config", &file.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(check("http://127.0.0.1:1/").contains("ledger.anchors: cannot read "));
    fs::write(&ca, "hello\n").expect("it is written");
    assert!(check("http://127.0.0.1:1/").contains("no certificate (PEM) is in it"));
    assert!(check("https://127.0.0.1:1/").contains("only `http://` is spoken"));
    assert!(check("tsa").contains("ledger.anchors: "));
}
