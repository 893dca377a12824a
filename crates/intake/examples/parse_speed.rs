//! Events per CPU-second from bytes to fields, by kind of record: `cargo run --release --example parse_speed`.
//! With files (anything that `vedette import` reads), those are measured instead of the built-in records. The best of
//! several rounds counts: on a machine that others use, too, it is the round that was disturbed least.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use vedette_event::{BatchBuilder, Derive, MAX_BATCH_EVENTS, Source, SourceId, Time};
use vedette_intake::{import, parse::Parsers};

const ROUNDS: usize = 12;
const ROUND: Duration = Duration::from_millis(150);

fn main() {
    let parsers = Parsers::builtin();
    let mut files = std::env::args_os().skip(1).peekable();
    if files.peek().is_some() {
        for file in files {
            let file = Path::new(&file);
            match import::open(file, &import::Options::default()) {
                Ok(import) => measure(&parsers, &file.display().to_string(), &import.flatten().collect::<Vec<_>>()),
                Err(refused) => eprintln!("{refused}"),
            }
        }
        return;
    }
    let ecs = format!(
        r#"{{"@timestamp":"2026-11-21T04:11:52.123Z","host":{{"name":"web1","os":{{"family":"debian","version":"12"}}}},"agent":{{"type":"filebeat","version":"9.2.0","id":"0d3b"}},"event":{{"category":["network"],"type":["connection"],"dataset":"x.flow","duration":12345}},"source":{{"ip":"192.0.2.7","port":4711,"bytes":1200}},"destination":{{"ip":"198.51.100.1","port":443,"bytes":56000}},"network":{{"transport":"tcp","community_id":"1:abc="}},"process":{{"pid":811,"name":"curl","executable":"/usr/bin/curl","command_line":"curl -s https://example.org/"}},"user":{{"name":"bob","id":"1000"}},"message":"{}"}}"#,
        "x".repeat(180)
    );
    let sysmon = r##"{"Event":{"#attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon","Guid":"5770385F-C22A-43E0-BF4C-06F5698FFBD9"}},"EventID":1,"Version":5,"Level":4,"Task":1,"Opcode":0,"Keywords":"0x8000000000000000","TimeCreated":{"#attributes":{"SystemTime":"2026-11-21T04:11:52.123456Z"}},"EventRecordID":42,"Correlation":null,"Execution":{"#attributes":{"ProcessID":1932,"ThreadID":2040}},"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"PC1.corp.example","Security":{"#attributes":{"UserID":"S-1-5-18"}}},"EventData":{"RuleName":"-","UtcTime":"2026-11-21 04:11:52.120","ProcessGuid":"365ABB72-3D4A-5CEB-0000-0010FA93FD00","ProcessId":3756,"Image":"C:\\Windows\\System32\\cmd.exe","CommandLine":"cmd /c whoami","CurrentDirectory":"C:\\","User":"CORP\\bob","Hashes":"SHA1=AA,MD5=BB,SHA256=CC,IMPHASH=DD","ParentProcessId":812,"ParentImage":"C:\\Windows\\explorer.exe","ParentCommandLine":"explorer.exe"}}}"##;
    let alert = r#"{"timestamp":"2026-11-21T04:11:52.123456+0000","flow_id":1,"in_iface":"eth0","event_type":"alert","src_ip":"192.0.2.7","src_port":4711,"dest_ip":"198.51.100.1","dest_port":80,"proto":"TCP","app_proto":"http","alert":{"action":"allowed","gid":1,"signature_id":2019401,"rev":3,"signature":"ET SCAN x","category":"Attempted Information Leak","severity":2},"http":{"hostname":"a.example","url":"/x?y","http_method":"GET","http_user_agent":"curl"}}"#;
    let fortigate = r#"<189>date=2026-11-21 time=04:11:52 devname="fw1" devid="FGT60FTK20000001" eventtime=1795234312123456789 tz="+0100" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=192.0.2.7 srcport=4711 srcintf="port1" srcintfrole="lan" dstip=198.51.100.1 dstport=443 dstintf="wan1" dstintfrole="wan" srccountry="Reserved" dstcountry="Germany" sessionid=811 proto=6 action="close" policyid=12 policytype="policy" policyname="lan to wan" service="HTTPS" trandisp="snat" transip=203.0.113.1 transport=4711 duration=5 sentbyte=1234 rcvdbyte=5678 sentpkt=10 rcvdpkt=12 appcat="unscanned""#;
    let panos = r#"<14>Nov 21 04:11:52 pa1 1,2026/11/21 04:11:52,012801096514,TRAFFIC,end,2561,2026/11/21 04:11:51,192.0.2.7,198.51.100.1,203.0.113.1,198.51.100.1,lan to wan,example\bob,,ssl,vsys1,trust,untrust,ethernet1/2,ethernet1/1,default,2026/11/21 04:11:52,811,1,4711,443,61001,443,0x400053,tcp,allow,6912,1234,5678,30,2026/11/21 04:11:20,30,any,0,123456789,0x0,192.0.2.0-192.0.2.255,Germany,0,14,16,tcp-fin,0,0,0,0,,pa1,from-policy,,,0,,0,,N/A,0,0,0,0,6f3b7a2e-1111-2222-3333-444455556666,0"#;
    let okta = r#"{"actor":{"id":"00u1","type":"User","alternateId":"eve@example.org","displayName":"Eve"},"client":{"userAgent":{"rawUserAgent":"Mozilla/5.0","os":"Linux","browser":"FIREFOX"},"zone":"null","device":"Computer","id":null,"ipAddress":"203.0.113.9","geographicalContext":{"city":"Berlin","country":"Germany"}},"authenticationContext":{"externalSessionId":"s1"},"displayMessage":"User login to Okta","eventType":"user.session.start","outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},"published":"2026-11-21T04:11:52.123Z","securityContext":{"asNumber":64496,"asOrg":"Example","isp":"Example","domain":"example.net","isProxy":true},"severity":"WARN","debugContext":{"debugData":{"requestUri":"/api/v1/authn","behaviors":"{New IP=POSITIVE}"}},"legacyEventType":"core.user_auth.login_failed","transaction":{"type":"WEB","id":"t1"},"uuid":"u-1","version":"0","request":{"ipChain":[{"ip":"203.0.113.9"}]},"target":null}"#;
    let kinds: &[(&str, &str)] = &[
        ("json (ECS, nested)", &ecs),
        ("windows (EVTX JSON)", sysmon),
        ("suricata alert", alert),
        ("sshd", "<38>Nov 21 04:11:52 web1 sshd[811]: Failed password for root from 192.0.2.7 port 4711 ssh2"),
        (
            "access log",
            r#"192.0.2.7 - - [21/Nov/2026:04:11:52 +0000] "GET /index.html?a=b HTTP/1.1" 200 512 "-" "Mozilla/5.0 (X11; Linux x86_64)""#,
        ),
        ("syslog, unknown program", "<13>1 2026-11-21T04:11:52Z web1 app 7 - - something happened here"),
        (
            "PostgreSQL",
            "2026-11-21 04:11:52.130 UTC [811] bob@shop LOG:  connection authorized: user=bob database=shop application_name=psql",
        ),
        (
            "Cisco ASA",
            "<166>Nov 21 2026 04:11:52 fw1 : %ASA-6-302013: Built inbound TCP connection 811 for outside:192.0.2.7/4711 (192.0.2.7/4711) to inside:10.0.0.5/443 (198.51.100.1/443)",
        ),
        ("FortiGate", fortigate),
        ("PAN-OS", panos),
        ("Okta", okta),
    ];
    for (kind, record) in kinds {
        measure(&parsers, kind, &[record.as_bytes().to_vec()]);
    }
}

/// Parses the records over and over and prints the best rate.
fn measure(parsers: &Parsers, kind: &str, records: &[Vec<u8>]) {
    let source = Source::new(SourceId(1), "test:1", "test");
    let received = Time::from_secs(1_795_233_112);
    let mut stream = records.iter().cycle();
    let mut best = f64::MIN;
    let mut parse = |most: usize| {
        let mut batch = BatchBuilder::new(source.clone());
        for (seq, record) in stream.by_ref().take(most).enumerate() {
            parsers.derive(&source, seq as u64, received, record, &mut batch);
        }
        batch.finish().len()
    };
    for _ in 0..ROUNDS {
        let (mut events, start) = (0, cpu_time());
        let spent = loop {
            events += parse(MAX_BATCH_EVENTS);
            let spent = cpu_time().saturating_sub(start);
            if events == 0 || spent >= ROUND {
                break spent;
            }
        };
        best = best.max(events as f64 / spent.as_secs_f64());
    }
    let bytes = records.iter().map(Vec::len).sum::<usize>() / records.len().max(1);
    println!("{kind:26} {bytes:5} B  {best:9.0} events/s  {:6.0} MB/s", best * bytes as f64 / 1e6);
}

/// CPU time of this process so far; wall time where the system does not tell.
fn cpu_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(Instant::now);
    // The first field of /proc/self/schedstat: nanoseconds on a CPU.
    std::fs::read_to_string("/proc/self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| start.elapsed(), Duration::from_nanos)
}
