//! Every operator at least once, over a small store of segments and tail.

use std::collections::BTreeMap;

use expect_test::expect;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use vedette_event::Time;
use vedette_query::{Cancel, Export, FileFormat, Progress, QueryError, Request};

use crate::fixture::{START, World, office, run};

/// The messages or names of the events that a search finds, newest first.
#[test]
fn searches_find_events() {
    let world = office();
    let mut answers = String::new();
    for search in [
        "failed",
        "\"failed password\" alice",
        "fail*",
        "*word",
        "passwor",
        "failed -root",
        "root or sudo",
        "C:\\Windows\\System32\\cmd.exe",
        "\"C:\\Windows\"",
        "user.name:ALICE",
        "user.name:a*",
        "user.name:(root or bob)",
        "not user.name:*",
        "source.ip:10.0.0.0/8",
        "source.ip:2001:db8::/32",
        "source.ip:\"2001:DB8:0::7\"",
        "source.ip:192.0.*",
        "source.ip:[10.0.0.0 TO 10.255.0.0]",
        "source.port>=4711",
        "source.port:[22 TO 4711}",
        "source.port:4?12",
        "@timestamp>=\"2026-11-21 00:10\"",
        "@timestamp:2026-11-21 nginx",
        "@timestamp<now-55m",
        "event.category:session",
        "-event.category:authentication",
        "message:accepted",
        "message:\"password for\"",
        "event.id:1-4",
        "ssh.key.bits:4096",
        "ssh.key.bits>1024",
        "winlog.event_data.IntegrityLevel:high",
        "tags:two",
        "url.path:\"/a?b=1*2\"",
        "url.path:/a?b*",
        "* | where event.outcome == \"failure\" and user.name != \"root\"",
        "* | where user.name =~ \"ALICE\"",
        "* | where user.name !~ \"ALICE\" and user.name != \"\"",
        "* | where user.name in (\"root\", \"bob\")",
        "* | where user.name in~ (\"ALICE\")",
        "* | where user.name !in (\"root\", \"bob\") and isnotempty(user.name)",
        "* | where source.ip in cidr(\"10.0.0.0/8\", \"2001:db8::/32\")",
        "* | where ipv4_is_private(source.ip)",
        "* | where source.port between (22 .. 4711)",
        "* | where process.command_line contains \"WHO\"",
        "* | where process.command_line contains_cs \"WHO\"",
        "* | where process.command_line has \"who\"",
        "* | where process.command_line hasprefix \"who\"",
        "* | where process.command_line startswith \"CMD\" or process.command_line endswith \"aaaa\"",
        "* | where message matches regex @\"for [rR]oot$\"",
        "* | where process.command_line has_any (\"whoami\", \"enc\")",
        "* | where event.category == \"session\"",
        "* | where tags == \"one\" and tags != \"three\"",
        "* | where @timestamp > ago(50m) and @timestamp < datetime(2026-11-21T00:13:00Z)",
        "* | where @timestamp > \"2026-11-21T00:12:00Z\"",
        "* | where event.id == \"1-2\"",
        "* | where isnull(user.name) and http.response.status_code >= 500",
        "* | where ssh.key.bits > 4000 and ssh.key.bits == 4096",
        "* | where not (user.name == \"root\") and source.port > 4000",
        "* | where tolower(user.name) == \"alice\" and strlen(message) > 28",
        "* | search web1 | where url.path == \"/login\"",
        "host.name:web1 | sort @timestamp asc | take 2",
        "host.name:web1 | take 2",
    ] {
        let rows =
            run(world.rows(Request { now: Some(Time::from_micros(START + 3_600_000_000)), ..Request::hunt(search) }))
                .unwrap_or_else(|error| panic!("{search}: {error}"));
        let ids: Vec<&str> = rows.iter().map(|row| row["event.id"].as_str().unwrap()).collect();
        answers += &format!("{search:<75} {}\n", ids.join(" "));
    }
    expect![[r#"
        failed                                                                      1-1 1-0
        "failed password" alice                                                     1-1
        fail*                                                                       1-1 1-0
        *word                                                                       1-1 1-0
        passwor                                                                     
        failed -root                                                                1-1
        root or sudo                                                                1-5 1-0
        C:\Windows\System32\cmd.exe                                                 1-3
        "C:\Windows"                                                                1-3
        user.name:ALICE                                                             1-5 1-2 1-1
        user.name:a*                                                                1-5 1-2 1-1
        user.name:(root or bob)                                                     1-4 1-3 1-0
        not user.name:*                                                             1-7 1-6
        source.ip:10.0.0.0/8                                                        1-7 1-2
        source.ip:2001:db8::/32                                                     1-6
        source.ip:"2001:DB8:0::7"                                                   1-6
        source.ip:192.0.*                                                           1-1 1-0
        source.ip:[10.0.0.0 TO 10.255.0.0]                                          1-7 1-2
        source.port>=4711                                                           1-1 1-0
        source.port:[22 TO 4711}                                                    1-2
        source.port:4?12                                                            1-1
        @timestamp>="2026-11-21 00:10"                                              1-7 1-6 1-5 1-4
        @timestamp:2026-11-21 nginx                                                 1-7 1-6
        @timestamp<now-55m                                                          1-3 1-2 1-1 1-0
        event.category:session                                                      1-0
        -event.category:authentication                                              1-7 1-6 1-5 1-4 1-3
        message:accepted                                                            1-2
        message:"password for"                                                      1-1 1-0
        event.id:1-4                                                                1-4
        ssh.key.bits:4096                                                           1-2
        ssh.key.bits>1024                                                           1-2
        winlog.event_data.IntegrityLevel:high                                       1-3
        tags:two                                                                    1-4
        url.path:"/a?b=1*2"                                                         1-7
        url.path:/a?b*                                                              1-7
        * | where event.outcome == "failure" and user.name != "root"                1-1
        * | where user.name =~ "ALICE"                                              1-5 1-2 1-1
        * | where user.name !~ "ALICE" and user.name != ""                          1-7 1-6 1-4 1-3 1-0
        * | where user.name in ("root", "bob")                                      1-4 1-3 1-0
        * | where user.name in~ ("ALICE")                                           1-5 1-2 1-1
        * | where user.name !in ("root", "bob") and isnotempty(user.name)           1-5 1-2 1-1
        * | where source.ip in cidr("10.0.0.0/8", "2001:db8::/32")                  1-7 1-6 1-2
        * | where ipv4_is_private(source.ip)                                        1-7 1-2
        * | where source.port between (22 .. 4711)                                  1-2 1-0
        * | where process.command_line contains "WHO"                               1-3
        * | where process.command_line contains_cs "WHO"                            
        * | where process.command_line has "who"                                    
        * | where process.command_line hasprefix "who"                              1-3
        * | where process.command_line startswith "CMD" or process.command_line endswith "aaaa" 1-4 1-3
        * | where message matches regex @"for [rR]oot$"                             1-0
        * | where process.command_line has_any ("whoami", "enc")                    1-4 1-3
        * | where event.category == "session"                                       1-0
        * | where tags == "one" and tags != "three"                                 1-4
        * | where @timestamp > ago(50m) and @timestamp < datetime(2026-11-21T00:13:00Z) 1-6 1-5
        * | where @timestamp > "2026-11-21T00:12:00Z"                               1-7
        * | where event.id == "1-2"                                                 1-2
        * | where isnull(user.name) and http.response.status_code >= 500            1-6
        * | where ssh.key.bits > 4000 and ssh.key.bits == 4096                      1-2
        * | where not (user.name == "root") and source.port > 4000                  1-1
        * | where tolower(user.name) == "alice" and strlen(message) > 28            1-5
        * | search web1 | where url.path == "/login"                                1-6
        host.name:web1 | sort @timestamp asc | take 2                               1-0 1-1
        host.name:web1 | take 2                                                     1-7 1-6
    "#]]
    .assert_eq(&answers);
}

#[test]
fn stages_compute_columns() {
    let world = office();
    let answers: String = [
        "event.id:1-2",
        "event.id:1-3 | extend upper = toupper(user.name)",
        "* | count",
        "* | summarize n = count(), users = dcount(user.name), fails = countif(event.outcome == \"failure\") by host.name",
        "* | summarize sum(source.bytes), avg(source.bytes), min(source.bytes), max(source.bytes), sumif(source.bytes, source.bytes > 10)",
        "* | summarize count() by bin(@timestamp, 5m)",
        "* | summarize percentile(source.port, 50), make_set(user.name), make_list(user.name, 2) by event.dataset",
        "* | summarize arg_max(@timestamp, user.name, event.id), arg_min(source.port, host.name) by event.dataset",
        "* | summarize n = count() by d = dayofweek(@timestamp), h = hourofday(@timestamp)",
        "* | summarize by user.name",
        "* | distinct host.name, event.dataset",
        "* | top 2 by source.port | project source.port, user.name",
        "ssh | project @timestamp, who = user.name, ssh.method, from = strcat(source.ip, \":\", source.port) | sort who asc",
        "user.name:bob | project process.name, a = process.pid + 1, b = process.pid / 2, c = process.pid % 7, d = -process.pid, e = process.pid * 1.5, f = process.pid / 0",
        "event.id:1-3 | project a = split(process.executable, \"\\\\\"), b = split(process.executable, \"\\\\\")[-1], c = split(process.executable, \"\\\\\", 1), d = substring(process.name, 0, 3), e = replace_string(process.name, \"cmd\", \"x\")",
        "event.id:(1-2 or 1-4) | project iff(isempty(process.name), \"none\", process.name), c = case(process.pid > 100, \"big\", process.pid > 10, \"small\", \"no\"), d = coalesce(source.ip, host.name), tolong(ssh.key.bits), todouble(\"1.5\"), tostring(process.pid), tags",
        "event.id:1-4 | project age = now() - @timestamp, later = @timestamp + 1h, bin(process.pid, 10), array_length(event.category)",
        "user.name:* | extend name = tolower(user.name) | summarize n = count() by name | where n >= 2 | sort n desc, name | limit 2",
        "event.id:1-0 | project user.name, host.name | project-rename who = user.name | project-away host.name",
        "event.outcome:failure | join kind=inner (event.dataset:nginx* | summarize hits = count() by host.name) on host.name | project user.name, host.name, hits",
        "user.name:* | summarize n = count() by user.name | join kind=leftouter (event.outcome:failure | project user.name, ip = source.ip, n = 1) on user.name",
        "event.outcome:failure | join (events | project a = user.name, b = process.pid) on $left.user.name == $right.a | count",
        "source.ip:* | distinct source.ip | lookup owners on $left.source.ip == $right.ip",
        "* | where @timestamp > 5",
    ]
    .iter()
    .map(|text| {
        let owners = "ip,owner\n10.1.2.3,it\n192.0.2.7,\"them, others\"\n".to_owned();
        let now = Some(Time::from_micros(START + 3_600_000_000));
        let request = Request { now, tables: BTreeMap::from([("owners".to_owned(), owners)]), ..Request::hunt(*text) };
        format!("-- {text}\n{}", world.show(request))
    })
    .collect();
    expect![[r#"
        -- event.id:1-2
        {"event.id":"1-2","@timestamp":"2026-11-21T00:02:00.000000Z","event.dataset":"linux.sshd","event.outcome":"success","event.category":"authentication","user.name":"alice","source.ip":"10.1.2.3","source.port":22,"host.name":"web2","message":"Accepted publickey for alice","ssh.method":"publickey","ssh.key.bits":4096,"event.original":"{\"@timestamp\":1795219320000000,\"event.dataset\":\"linux.sshd\",\"event.outcome\":\"success\",\"event.category\":[\"authentication\"],\"user.name\":\"alice\",\"source.ip\":\"10.1.2.3\",\"source.port\":22,\"host.name\":\"web2\",\"message\":\"Accepted publickey for alice\",\"ssh.method\":\"publickey\",\"ssh.key.bits\":4096}"}
        -- event.id:1-3 | extend upper = toupper(user.name)
        {"event.id":"1-3","@timestamp":"2026-11-21T00:03:00.000000Z","event.dataset":"windows.sysmon_operational","event.code":"1","user.name":"bob","host.name":"pc1","process.name":"cmd.exe","process.executable":"C:\\Windows\\System32\\cmd.exe","process.command_line":"cmd.exe /c whoami","process.pid":100,"winlog.event_data.IntegrityLevel":"High","event.original":"{\"@timestamp\":1795219380000000,\"event.dataset\":\"windows.sysmon_operational\",\"event.code\":\"1\",\"user.name\":\"bob\",\"host.name\":\"pc1\",\"process.name\":\"cmd.exe\",\"process.executable\":\"C:\\\\Windows\\\\System32\\\\cmd.exe\",\"process.command_line\":\"cmd.exe /c whoami\",\"process.pid\":100,\"winlog.event_data.IntegrityLevel\":\"High\"}","upper":"BOB"}
        -- * | count
        {"Count":8}
        -- * | summarize n = count(), users = dcount(user.name), fails = countif(event.outcome == "failure") by host.name
        {"host.name":"pc1","n":2,"users":1,"fails":0}
        {"host.name":"web1","n":4,"users":2,"fails":2}
        {"host.name":"web2","n":2,"users":1,"fails":0}
        -- * | summarize sum(source.bytes), avg(source.bytes), min(source.bytes), max(source.bytes), sumif(source.bytes, source.bytes > 10)
        {"sum_source.bytes":40,"avg_source.bytes":20.0,"min_source.bytes":10,"max_source.bytes":30,"sumif_source.bytes":30}
        -- * | summarize count() by bin(@timestamp, 5m)
        {"@timestamp":"2026-11-21T00:00:00.000000Z","count_":4}
        {"@timestamp":"2026-11-21T00:10:00.000000Z","count_":4}
        -- * | summarize percentile(source.port, 50), make_set(user.name), make_list(user.name, 2) by event.dataset
        {"event.dataset":"linux.sshd","percentile_source.port_50":4711.0,"set_user.name":["Alice","alice","root"],"list_user.name":["Alice","alice"]}
        {"event.dataset":"linux.sudo","percentile_source.port_50":null,"set_user.name":["alice"],"list_user.name":["alice"]}
        {"event.dataset":"nginx.access","percentile_source.port_50":null,"set_user.name":null,"list_user.name":null}
        {"event.dataset":"windows.sysmon_operational","percentile_source.port_50":null,"set_user.name":["bob"],"list_user.name":["bob","bob"]}
        -- * | summarize arg_max(@timestamp, user.name, event.id), arg_min(source.port, host.name) by event.dataset
        {"event.dataset":"linux.sshd","@timestamp":"2026-11-21T00:02:00.000000Z","user.name":"alice","event.id":"1-2","source.port":22,"host.name":"web2"}
        {"event.dataset":"linux.sudo","@timestamp":"2026-11-21T00:11:00.000000Z","user.name":"alice","event.id":"1-5","source.port":null,"host.name":"web2"}
        {"event.dataset":"nginx.access","@timestamp":"2026-11-21T00:13:00.000000Z","user.name":null,"event.id":"1-7","source.port":null,"host.name":"web1"}
        {"event.dataset":"windows.sysmon_operational","@timestamp":"2026-11-21T00:10:00.000000Z","user.name":"bob","event.id":"1-4","source.port":null,"host.name":"pc1"}
        -- * | summarize n = count() by d = dayofweek(@timestamp), h = hourofday(@timestamp)
        {"d":6,"h":0,"n":8}
        -- * | summarize by user.name
        {"user.name":null}
        {"user.name":"Alice"}
        {"user.name":"alice"}
        {"user.name":"bob"}
        {"user.name":"root"}
        -- * | distinct host.name, event.dataset
        {"host.name":"pc1","event.dataset":"windows.sysmon_operational"}
        {"host.name":"web1","event.dataset":"linux.sshd"}
        {"host.name":"web1","event.dataset":"nginx.access"}
        {"host.name":"web2","event.dataset":"linux.sshd"}
        {"host.name":"web2","event.dataset":"linux.sudo"}
        -- * | top 2 by source.port | project source.port, user.name
        {"source.port":4712,"user.name":"Alice"}
        {"source.port":4711,"user.name":"root"}
        -- ssh | project @timestamp, who = user.name, ssh.method, from = strcat(source.ip, ":", source.port) | sort who asc
        {"@timestamp":"2026-11-21T00:01:00.000000Z","who":"Alice","ssh.method":"password","from":"192.0.2.7:4712"}
        {"@timestamp":"2026-11-21T00:02:00.000000Z","who":"alice","ssh.method":"publickey","from":"10.1.2.3:22"}
        {"@timestamp":"2026-11-21T00:00:00.000000Z","who":"root","ssh.method":"password","from":"192.0.2.7:4711"}
        -- user.name:bob | project process.name, a = process.pid + 1, b = process.pid / 2, c = process.pid % 7, d = -process.pid, e = process.pid * 1.5, f = process.pid / 0
        {"process.name":"powershell.exe","a":102,"b":50,"c":3,"d":-101,"e":151.5,"f":null}
        {"process.name":"cmd.exe","a":101,"b":50,"c":2,"d":-100,"e":150.0,"f":null}
        -- event.id:1-3 | project a = split(process.executable, "\\"), b = split(process.executable, "\\")[-1], c = split(process.executable, "\\", 1), d = substring(process.name, 0, 3), e = replace_string(process.name, "cmd", "x")
        {"a":["C:","Windows","System32","cmd.exe"],"b":"cmd.exe","c":"Windows","d":"cmd","e":"x.exe"}
        -- event.id:(1-2 or 1-4) | project iff(isempty(process.name), "none", process.name), c = case(process.pid > 100, "big", process.pid > 10, "small", "no"), d = coalesce(source.ip, host.name), tolong(ssh.key.bits), todouble("1.5"), tostring(process.pid), tags
        {"iff":"powershell.exe","c":"big","d":"pc1","tolong_ssh.key.bits":null,"todouble":1.5,"tostring_process.pid":"101","tags":"[\"one\",\"two\"]"}
        {"iff":"none","c":"no","d":"10.1.2.3","tolong_ssh.key.bits":4096,"todouble":1.5,"tostring_process.pid":null,"tags":null}
        -- event.id:1-4 | project age = now() - @timestamp, later = @timestamp + 1h, bin(process.pid, 10), array_length(event.category)
        {"age":"3000s","later":"2026-11-21T01:10:00.000000Z","process.pid":100,"array_length_event.category":null}
        -- user.name:* | extend name = tolower(user.name) | summarize n = count() by name | where n >= 2 | sort n desc, name | limit 2
        {"name":"alice","n":3}
        {"name":"bob","n":2}
        -- event.id:1-0 | project user.name, host.name | project-rename who = user.name | project-away host.name
        {"who":"root"}
        -- event.outcome:failure | join kind=inner (event.dataset:nginx* | summarize hits = count() by host.name) on host.name | project user.name, host.name, hits
        {"user.name":"root","host.name":"web1","hits":2}
        {"user.name":"Alice","host.name":"web1","hits":2}
        -- user.name:* | summarize n = count() by user.name | join kind=leftouter (event.outcome:failure | project user.name, ip = source.ip, n = 1) on user.name
        {"user.name":"Alice","n":1,"ip":"192.0.2.7","n1":1}
        {"user.name":"alice","n":2,"ip":null,"n1":null}
        {"user.name":"bob","n":2,"ip":null,"n1":null}
        {"user.name":"root","n":1,"ip":"192.0.2.7","n1":1}
        -- event.outcome:failure | join (events | project a = user.name, b = process.pid) on $left.user.name == $right.a | count
        {"Count":2}
        -- source.ip:* | distinct source.ip | lookup owners on $left.source.ip == $right.ip
        {"source.ip":"10.1.2.3","ip":"10.1.2.3","owner":"it"}
        {"source.ip":"192.0.2.7","ip":"192.0.2.7","owner":"them, others"}
        {"source.ip":"2001:db8::7","ip":null,"owner":null}
        -- * | where @timestamp > 5
        error: `@timestamp` is a time; `5` is not
          | 1:24
          | * | where @timestamp > 5
          |                        ^
          = hint: compare it with datetime(…), ago(1h) or now()
    "#]].assert_eq(&answers);
}

#[test]
fn mistakes_of_meaning_are_shown() {
    let world = office();
    let answers: String = [
        "source.port:abc",
        "source.ip:10.0.0.0/99",
        "@timestamp>tomorrow",
        "* | where source.port == \"x\"",
        "* | where @timestamp > \"x\"",
        "* | where message matches regex \"(\"",
        "* | where source.ip in cidr(\"10.0.0/8\")",
        "* | summarize n = count() by user.name | where user.nam == \"x\"",
        "* | project user.name | search failed",
        "* | extend x = tolwer(user.name)",
        "* | extend x = substring(user.name)",
        "* | summarize x = cuont()",
        "* | summarize count(), count()",
        "* | extend @timestamp = 1",
        "* | where user.name",
        "* | where 1 + 1",
        "* | sort event.category",
        "* | lookup nothing on user.name",
        "* | extend x = bin(@timestamp, 5)",
        "* | extend x = count()",
        "* | project a = user.name, a = host.name",
        "* | where user.name has user.id",
    ]
    .iter()
    .map(|text| world.hunt(text))
    .collect();
    expect![[r#"
        error: `source.port` is a number field; `abc` is not a number
          | 1:13
          | source.port:abc
          |             ^^^
        error: `10.0.0.0/99` is not a network
          | 1:11
          | source.ip:10.0.0.0/99
          |           ^^^^^^^^^^^
          = hint: networks are written 10.0.0.0/8 or 2001:db8::/32
        error: `tomorrow` is not a time
          | 1:12
          | @timestamp>tomorrow
          |            ^^^^^^^^
          = hint: times are written 2026-11-21, "2026-11-21 04:11", 2026-11-21T04:11:52Z, now-15m
        error: `source.port` is a number; `"x"` is not
          | 1:26
          | * | where source.port == "x"
          |                          ^^^
        error: `@timestamp` is a time; `"x"` is not
          | 1:24
          | * | where @timestamp > "x"
          |                        ^^^
          = hint: times are written "2026-11-21T04:11:52Z", datetime(2026-11-21), ago(1h)
        error: not a regular expression: unclosed group
          | 1:33
          | * | where message matches regex "("
          |                                 ^^^
        error: `10.0.0/8` is not a network
          | 1:29
          | * | where source.ip in cidr("10.0.0/8")
          |                             ^^^^^^^^^^
          = hint: networks are written 10.0.0.0/8 or 2001:db8::/32
        error: no column `user.nam` here
          | 1:48
          | * | summarize n = count() by user.name | where user.nam == "x"
          |                                                ^^^^^^^^
          = hint: did you mean `user.name`?
        error: no column `event.original` here
          | 1:32
          | * | project user.name | search failed
          |                                ^^^^^^
          = hint: free words search whole events; after `summarize` or `project` name a column: `column:word`
        error: unknown function `tolwer`
          | 1:16
          | * | extend x = tolwer(user.name)
          |                ^^^^^^
          = hint: did you mean `tolower`?
        error: `substring` takes 2 to 3 arguments, found 1
          | 1:16
          | * | extend x = substring(user.name)
          |                ^^^^^^^^^^^^^^^^^^^^
        error: unknown aggregate `cuont`
          | 1:19
          | * | summarize x = cuont()
          |                   ^^^^^
          = hint: did you mean `count`?
        error: there are two columns `count_`
          | 1:5
          | * | summarize count(), count()
          |     ^^^^^^^^^^^^^^^^^^^^^^^^^^
          = hint: name one: `other = …`
        error: `@timestamp` cannot be replaced
          | 1:12
          | * | extend @timestamp = 1
          |            ^^^^^^^^^^
          = hint: give the new column another name
        error: expected a condition, found a number
          | 1:11
          | * | where 1 + 1
          |           ^^^^^
        error: a list has no order
          | 1:10
          | * | sort event.category
          |          ^^^^^^^^^^^^^^
        error: there is no table `nothing`
          | 1:12
          | * | lookup nothing on user.name
          |            ^^^^^^^
          = hint: tables come with the request; a query is written in parentheses: `join (…) on field`
        error: the step does not fit a time
          | 1:32
          | * | extend x = bin(@timestamp, 5)
          |                                ^
          = hint: times have steps such as 5m or 1h, numbers have numbers; all are positive
        error: unknown function `count`
          | 1:16
          | * | extend x = count()
          |                ^^^^^
          = hint: aggregates stand in `summarize`
        error: there are two columns `a`
          | 1:32
          | * | project a = user.name, a = host.name
          |                                ^^^^^^^^^
          = hint: name one: `other = …`
        error: the right side of `has` is a constant
          | 1:25
          | * | where user.name has user.id
          |                         ^^^^^^^
    "#]]
    .assert_eq(&answers);
}

#[test]
fn the_time_range_bounds_every_query() {
    let world = office();
    let range = (Some(Time::from_micros(START + 60_000_000)), Some(Time::from_micros(START + 600_000_000)));
    let count = |request: Request| world.show(Request { from: range.0, to: range.1, ..request });
    assert_eq!(count(Request::hunt("* | count")), "{\"Count\":3}\n");
    assert_eq!(count(Request::sql("SELECT count(*) AS n FROM events")), "{\"n\":3}\n");
    assert_eq!(count(Request::hunt("* | join (events | project user.name) on user.name | count")), "{\"Count\":3}\n");
}

#[test]
fn answers_are_tables_and_csv() {
    let world = office();
    run(async {
        let request = Request::hunt("user.name:root | extend x = strcat(\"a,\", user.name)");
        let mut answer = world.engine.run(request, &Progress::default(), &Cancel::default()).await.unwrap();
        assert!(answer.is_events());
        assert_eq!(answer.columns(), ["@timestamp", "event.id", "event.dataset", "host.name", "event.original", "x"]);
        let batch = answer.next().await.unwrap().unwrap();
        let cells = answer.cells(&batch);
        assert_eq!(cells[0][..4], ["2026-11-21T00:00:00.000000Z", "1-0", "linux.sshd", "web1"]);
        assert_eq!(vedette_query::Answer::csv_line(["plain", "a,b", "say \"x\""]), "plain,\"a,b\",\"say \"\"x\"\"\"");
    });
}

#[test]
fn the_console_gets_histograms_and_top_values() {
    let world = office();
    run(async {
        let request = Request {
            from: Some(Time::from_micros(START)),
            to: Some(Time::from_micros(START + 900_000_000)),
            ..Request::hunt("* | take 3")
        };
        let (progress, cancel) = (Progress::default(), Cancel::default());
        let histogram = world.engine.histogram(&request, 4, &progress, &cancel).await.unwrap();
        assert_eq!((histogram.step, histogram.counts), (300_000_000, vec![4, 0, 4]));
        let top = async |name: &str, prefix: &str| -> Vec<String> {
            let top = world.engine.top_values(&request, name, prefix, 3, &progress, &cancel).await.unwrap();
            top.iter().map(|one| format!("{} {}", one.value, one.count)).collect()
        };
        assert_eq!(top("user.name", "").await, ["null 2", "\"alice\" 2", "\"bob\" 2"]);
        assert_eq!(top("user.name", "AL").await, ["\"alice\" 2", "\"Alice\" 1"]);
        assert_eq!(top("source.port", "47").await, ["4711 1", "4712 1"]);
        assert_eq!(top("source.ip", "192").await, ["\"192.0.2.7\" 2"]);
        assert_eq!(top("event.category", "sess").await, [r#"["authentication","session"] 1"#]);
        assert_eq!(top("tags", "tw").await, [r#""[\"one\",\"two\"]" 1"#]);
        assert_eq!(top("ssh.key.bits", "4").await, ["\"4096\" 1"]);
        let bounds = world.engine.bounds(&request, &progress, &cancel).await.unwrap().unwrap();
        assert!(bounds.0.micros() >= START && bounds.1.micros() < START + 900_000_000);
        let none = Request { text: "nosuchword".to_owned(), ..request.clone() };
        assert_eq!(world.engine.bounds(&none, &progress, &cancel).await.unwrap(), None);
        let closed = Request { text: "* | count".to_owned(), ..request };
        assert!(world.engine.histogram(&closed, 4, &progress, &cancel).await.is_err());
    });
}

/// The bytes of an answer as a file.
async fn exported(
    world: &World,
    text: &str,
    columns: Option<&[&str]>,
    format: FileFormat,
) -> Result<Vec<u8>, QueryError> {
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let mut answer = world.engine.run(Request::hunt(text), &progress, &cancel).await?;
    let columns = columns.map(|columns| columns.iter().map(|name| (*name).to_owned()).collect());
    let mut export = Export::new(&answer, columns, format)?;
    let mut bytes = export.head();
    while let Some(rows) = answer.next().await? {
        bytes.extend(export.rows(&answer, &rows)?);
    }
    bytes.extend(export.end()?);
    Ok(bytes)
}

#[test]
fn answers_become_files() {
    let world = office();
    run(async {
        let csv = async |text: &str, columns: Option<&[&str]>| {
            String::from_utf8(exported(&world, text, columns, FileFormat::Csv).await.unwrap()).unwrap()
        };
        assert_eq!(
            csv("user.name:bob", Some(&["process.pid", "tags", "process.command_line", "nosuch"])).await,
            "process.pid,tags,process.command_line,nosuch\r\n101,\"[\"\"one\"\",\"\"two\"\"]\",powershell -enc AAAA,\r\n100,,cmd.exe /c whoami,\r\n"
        );
        assert_eq!(csv("* | summarize n=count() by user.name | top 1 by n", Some(&["n"])).await, "n\r\n2\r\n");
        assert!(
            csv("nosuchword", None).await.starts_with("@timestamp,event.id,event.dataset,host.name,event.original\r\n")
        );
        let wrong = exported(&world, "* | count", Some(&["nosuch"]), FileFormat::Csv).await;
        assert!(matches!(wrong, Err(QueryError::Text(why)) if why[0].message.contains("nosuch")));

        let parquet = async |text: &str, columns: Option<&[&str]>| {
            let bytes = exported(&world, text, columns, FileFormat::Parquet).await.unwrap();
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &bytes).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let none = arrow::array::RecordBatch::new_empty(reader.schema().clone());
            let rows = reader.build().unwrap().map(Result::unwrap);
            let batches: Vec<_> = std::iter::once(none).chain(rows).collect();
            arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
        };
        let events = parquet("user.name:bob", Some(&["@timestamp", "process.pid", "tags", "user.name"])).await;
        expect![[r#"
            +----------------------+-------------+---------------+-----------+
            | @timestamp           | process.pid | tags          | user.name |
            +----------------------+-------------+---------------+-----------+
            | 2026-11-21T00:10:00Z | 101         | ["one","two"] | bob       |
            | 2026-11-21T00:03:00Z | 100         |               | bob       |
            +----------------------+-------------+---------------+-----------+"#]]
        .assert_eq(&events);
        let table = parquet("* | summarize n=count(), first=min(@timestamp) by user.name | top 1 by n", None).await;
        assert!(table.contains("| user.name | n | first"), "{table}");
        assert!(parquet("nosuchword", None).await.contains("@timestamp"), "a file without rows is whole too");
    });
}
