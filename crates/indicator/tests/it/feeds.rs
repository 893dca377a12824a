//! Feeds in the forms in which they come.

use expect_test::expect;
use vedette_indicator::Format;

use crate::support::told;

const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Hashes for `%md5`, `%sha1`, `%sha256`.
fn filled(text: &str) -> String {
    text.replace("%md5", MD5).replace("%sha1", SHA1).replace("%sha256", SHA256)
}

#[test]
fn formats_are_known_by_their_beginning() {
    for (head, want) in [
        ("\u{feff}{\"type\": \"bundle\", \"objects\": [", Format::Stix),
        ("{\"more\": false, \"objects\": []}", Format::Stix),
        ("[{\"type\": \"indicator\", \"spec_version\": \"2.1\"", Format::Stix),
        ("{\"Event\": {\"info\": \"x\"", Format::Misp),
        ("{\"response\": [{\"Event\":", Format::Misp),
        ("# abuse.ch\n# \"first_seen_utc\",\"ioc_id\",\"ioc_value\"\n", Format::Csv),
        ("Indicator type,Indicator,Description\n", Format::Csv),
        ("# comment\n192.0.2.7\n", Format::List),
        ("[2001:db8::1]:443\n", Format::List),
        ("", Format::List),
    ] {
        assert_eq!(Format::detect(head.as_bytes()), want, "{head}");
    }
}

#[test]
fn plain_lists() {
    let list = "\u{feff}# a comment\r\n192.0.2.7\r\n198.51.100.0/24 ; SBL1\nhxxp://evil[.]example/A # phishing\n\n\
        0.0.0.0 ads.example tracker.example localhost\n127.0.0.1 localhost\nbob@evil.example\n203.0.113.9:8080\n\
        0.0.0.0/0\nnonsense!\n10.0.0.1-10.0.0.9\na.example b.example\n";
    expect![[r#"
        address:192.0.2.7 50%
        network:198.51.100.0/24 50% "SBL1"
        url:http://evil.example/A 50% "phishing"
        domain:ads.example 50%
        domain:tracker.example 50%
        mail:bob@evil.example 50%
        address:203.0.113.9 port 8080 50%
        passed 1: blank line
        passed 1: comment
        passed 2: local name
        refused file:10: `0.0.0.0/0`: a network too wide to say anything (IPv4 below /8, IPv6 below /16)
        refused file:11: `nonsense!`: neither address, network, domain, URL, hash nor mail address
        refused file:12: `10.0.0.1-10.0.0.9`: neither address, network, domain, URL, hash nor mail address
        refused file:13: `a.example b.example`: more than one value in a line
    "#]]
    .assert_eq(&told(Format::List, list));
}

#[test]
fn abuse_ch() {
    let threatfox = "################\n# ThreatFox IOCs: recent\n################\n#\n\
        # \"first_seen_utc\",\"ioc_id\",\"ioc_value\",\"ioc_type\",\"threat_type\",\"fk_malware\",\"malware_alias\",\"malware_printable\",\"last_seen_utc\",\"confidence_level\",\"is_compromised\",\"reference\",\"tags\",\"anonymous\",\"reporter\"\n\
        \"2026-11-20 10:11:12\", \"1001\", \"198.51.100.7:443\", \"ip:port\", \"botnet_cc\", \"win.emotet\", \"None\", \"Emotet\", \"\", \"100\", \"False\", \"https://x.example/1\", \"Emotet,epoch5\", \"0\", \"abuse_ch\"\n\
        \"2026-11-20 10:11:12\", \"1002\", \"evil.example\", \"domain\", \"botnet_cc\", \"win.emotet\", \"None\", \"Emotet\", \"\", \"75\", \"False\", \"None\", \"\", \"0\", \"abuse_ch\"\n\
        \"2026-11-20 10:11:12\", \"1003\", \"%sha256\", \"sha256_hash\", \"payload\", \"win.emotet\", \"None\", \"Emotet\", \"\", \"50\", \"False\", \"None\", \"\", \"0\", \"abuse_ch\"\n\
        \"yesterday\", \"1004\", \"a.example\", \"domain\", \"x\", \"x\", \"x\", \"x\", \"\", \"50\", \"False\", \"None\", \"\", \"0\", \"x\"\n\
        # Number of entries: 3\n";
    expect![[r#"
        address:198.51.100.7 port 443 100% from 2026-11-20T10:11 "Emotet" [botnet_cc Emotet epoch5] <1001>
        domain:evil.example 75% from 2026-11-20T10:11 "Emotet" [botnet_cc] <1002>
        sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 50% from 2026-11-20T10:11 "Emotet" [payload] <1003>
        passed 6: comment
        refused file:9: `yesterday`: a time that cannot be read
    "#]]
    .assert_eq(&told(Format::Csv, &filled(threatfox)));

    let bazaar = "# \"first_seen_utc\",\"sha256_hash\",\"md5_hash\",\"sha1_hash\",\"reporter\",\"file_name\",\"signature\"\n\
        \"2026-11-20 10:11:12\", \"%sha256\", \"%md5\", \"%sha1\", \"x\", \"a, \"\"b\"\".exe\", \"n/a\"\n";
    expect![[r#"
        sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 50% from 2026-11-20T10:11
        md5:900150983cd24fb0d6963f7d28e17f72 50% from 2026-11-20T10:11
        sha1:a9993e364706816aba3e25717850c26c9cd0d89d 50% from 2026-11-20T10:11
        passed 1: comment
    "#]]
    .assert_eq(&told(Format::Csv, &filled(bazaar)));

    let urlhaus = "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n\
        \"5\",\"2026-11-20 10:11:12\",\"http://198.51.100.9:36371/bin.sh\",\"online\",\"2026-11-21\",\"malware_download\",\"elf,mirai\",\"https://urlhaus.example/url/5/\",\"x\"\n";
    expect![[r#"
        url:http://198.51.100.9:36371/bin.sh 50% from 2026-11-20T10:11 "malware_download" [elf mirai] <5>
        passed 1: comment
    "#]]
    .assert_eq(&told(Format::Csv, urlhaus));

    let feodo = "\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\"malware\"\n\
        \"2026-11-20 10:11:12\",\"198.51.100.7\",\"449\",\"online\",\"2026-11-21\",\"TrickBot\"\n";
    expect![[r#"
        address:198.51.100.7 port 449 50% from 2026-11-20T10:11 "TrickBot"
        passed 1: header
    "#]]
    .assert_eq(&told(Format::Csv, feodo));
}

#[test]
fn other_tables() {
    let misp = "uuid,event_id,category,type,value,comment,to_ids,date,object_relation\n\
        u1,1,\"Network activity\",\"ip-dst|port\",\"198.51.100.7|443\",\"C2, main\",1,1795000000,\n\
        u2,1,\"Network activity\",\"domain|ip\",\"evil.example|198.51.100.8\",\"\",1,1795000000,\n\
        u3,1,\"Payload delivery\",\"filename|sha1\",\"a|b.exe|%sha1\",\"\",1,1795000000,\n\
        u4,1,\"External analysis\",\"link\",\"https://good.example/\",\"\",0,1795000000,\n\
        u5,1,\"Other\",\"mutex\",\"x\",\"\",1,1795000000,\n";
    expect![[r#"
        address:198.51.100.7 port 443 50% from 2026-11-18T11:06 "C2, main" [Network activity] <u1>
        domain:evil.example 50% from 2026-11-18T11:06 [Network activity] <u2>
        address:198.51.100.8 50% from 2026-11-18T11:06 [Network activity] <u2>
        sha1:a9993e364706816aba3e25717850c26c9cd0d89d 50% from 2026-11-18T11:06 [Payload delivery] <u3>
        passed 1: header
        passed 1: not for detection
        refused file:6: `mutex`: no look-up for the type `mutex`
    "#]]
    .assert_eq(&told(Format::Csv, &filled(misp)));

    let otx = "Indicator type;Indicator;Description\nhostname;www.evil.example;\nFileHash-MD5;%md5;dropper\nCVE;CVE-2026-1;\nIPv4;198.51.100.7;\n";
    expect![[r#"
        domain:www.evil.example 50%
        md5:900150983cd24fb0d6963f7d28e17f72 50% "dropper"
        address:198.51.100.7 50%
        passed 1: header
        refused file:4: `CVE`: no look-up for the type `CVE`
    "#]]
    .assert_eq(&told(Format::Csv, &filled(otx)));

    let quoted =
        "domain,description,expires\na.example,\"two\nlines\",2026-12-01\nb.example,\"never ends,\nc.example,,\n,,\n";
    expect![[r#"
        domain:a.example 50% until 2026-12-01T00:00 "two
        lines"
        passed 1: header
        refused file:4: `b.example,"never ends,
        c.example,,
        ,,`: a quote that does not end within the row
    "#]]
    .assert_eq(&told(Format::Csv, quoted));

    expect![[r#"
        broken: file:1: no header whose names are known stands before the first row
    "#]]
    .assert_eq(&told(Format::Csv, "evil.example,other.example\n"));
}

#[test]
fn stix() {
    let bundle = r#"{"type": "bundle", "id": "bundle--1", "objects": [
        {"type": "marking-definition", "id": "marking-definition--own", "definition_type": "tlp", "definition": {"tlp": "AMBER"}},
        {"type": "indicator", "spec_version": "2.1", "id": "indicator--1", "created": "2026-11-01T00:00:00Z", "modified": "2026-11-02T00:00:00Z",
         "name": "Poison Ivy", "indicator_types": ["malicious-activity"], "confidence": 85, "pattern_type": "stix",
         "pattern": "[domain-name:value = 'evil.example' OR ipv4-addr:value IN ('198.51.100.7', '198.51.100.8')]",
         "valid_from": "2026-11-01T00:00:00Z", "valid_until": "2026-12-01T00:00:00.5Z",
         "object_marking_refs": ["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "marking-definition--own", "marking-definition--far"],
         "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "command-and-control"}]},
        {"type": "indicator", "id": "indicator--2", "revoked": true, "modified": "2026-11-03T00:00:00Z"},
        {"type": "indicator", "id": "indicator--3", "pattern_type": "yara", "pattern": "rule x {}", "valid_from": "2026-11-01T00:00:00Z"},
        {"type": "indicator", "id": "indicator--4", "pattern": "[file:name = 'a' AND file:hashes.MD5 = '%md5']", "valid_from": "2026-11-01T00:00:00Z"},
        {"type": "indicator", "id": "indicator--5", "pattern": "[process:name = 'x']", "pattern_type": "stix"},
        {"type": "indicator", "id": "indicator--6", "pattern": "[url:value", "pattern_type": "stix"},
        {"type": "indicator", "id": "indicator--7", "pattern": "[url:value = 'http://a.example/']", "confidence": 300},
        {"type": "indicator", "id": "indicator--8", "pattern": "[url:value = 'http://a.example/']", "valid_from": "soon"},
        {"type": "indicator", "id": "indicator--9", "pattern": 5},
        {"type": "malware", "id": "malware--1", "pattern": 5}, {"type": "relationship", "id": "r--1"}, {"id": "untyped"}, 7
    ]}"#;
    expect![[r#"
        domain:evil.example 85% from 2026-11-01T00:00 until 2026-12-01T00:00 "Poison Ivy" [tlp:red tlp:amber marking-definition--far malicious-activity mitre-attack:command-and-control] <indicator--1>
        address:198.51.100.7 85% from 2026-11-01T00:00 until 2026-12-01T00:00 "Poison Ivy" [tlp:red tlp:amber marking-definition--far malicious-activity mitre-attack:command-and-control] <indicator--1>
        address:198.51.100.8 85% from 2026-11-01T00:00 until 2026-12-01T00:00 "Poison Ivy" [tlp:red tlp:amber marking-definition--far malicious-activity mitre-attack:command-and-control] <indicator--1>
        withdrawn indicator--2
        md5:900150983cd24fb0d6963f7d28e17f72 50% from 2026-11-01T00:00 <indicator--4>
        passed 1: malware
        passed 1: marking-definition
        passed 1: relationship
        refused file:10: `indicator--3`: a pattern of type `yara`
        refused file:12: `indicator--5`: no look-up for `process:name`
        refused file:13: `indicator--6`: not a STIX pattern: an operator should be here
        refused file:14: `indicator--7`: a confidence that is not 0 to 100
        refused file:15: `indicator--8`: `valid_from` or `valid_until` is not a time
        refused file:16: `indicator--9`: not an indicator as STIX has it: invalid type: integer `5`, expected a string
        refused file:17: not a STIX object: missing field `type`
        refused file:17: not a STIX object: invalid type: integer `7`, expected struct Head
        widened 1
    "#]]
    .assert_eq(&told(Format::Stix, &filled(bundle)));

    for (text, want) in [
        ("{}", "\n"),
        ("{\"more\": false}", "\n"),
        ("", "broken: file:1: not JSON: the file is empty\n"),
        ("<html>", "broken: file:1: not JSON: a bundle should be here\n"),
        (
            "{\"type\": \"indicator\", \"pattern\": \"x\"}",
            "refused file:1: neither a bundle nor an envelope: no `objects`\n",
        ),
        (
            "[{\"type\": \"indicator\", \"id\": \"i\", \"pattern\": \"[url:value='http://a.example/']\"}]",
            "url:http://a.example/ 50% <i>\n",
        ),
        ("{\"objects\": [{\"type\": \"tool\"}", "broken: file:1: not JSON: ends too early\npassed 1: tool\n"),
    ] {
        assert_eq!(told(Format::Stix, text), want, "{text}");
    }
}

#[test]
fn misp() {
    let event = r#"{"Event": {"id": "1", "threat_level_id": "1", "info": "Emotet wave", "uuid": "e1",
        "Attribute": [
          {"type": "ip-dst|port", "value": "198.51.100.7|443", "to_ids": true, "uuid": "a1", "timestamp": "1795000000", "comment": "C2"},
          {"type": "domain|ip", "value": "evil.example|198.51.100.8", "to_ids": "1", "uuid": "a2", "timestamp": 1795000000},
          {"type": "filename|sha256", "value": "x.exe|%sha256", "to_ids": true, "uuid": "a3", "first_seen": "2026-11-01T00:00:00.000000+00:00"},
          {"type": "url", "value": "hxxp://evil[.]example/a", "to_ids": true, "uuid": "a4", "Tag": [{"name": "misp:confidence-level=\"rarely-confident\""}]},
          {"type": "link", "value": "https://good.example/", "to_ids": false, "uuid": "a5"},
          {"type": "ip-src", "value": "198.51.100.9", "to_ids": true, "deleted": true, "uuid": "a6", "timestamp": "1795000001"},
          {"type": "mutex", "value": "x", "to_ids": true, "uuid": "a7"},
          {"type": "md5", "value": "xyz", "to_ids": true, "uuid": "a8"},
          {"type": "md5", "value": ["x"], "to_ids": true}
        ],
        "Object": [{"name": "file", "Attribute": [{"type": "md5", "value": "%md5", "to_ids": true, "uuid": "o1"}]}],
        "Tag": [{"name": "tlp:amber"}, {"name": "misp:confidence-level=\"usually-confident\""}]
    }}"#;
    expect![[r#"
        withdrawn a6
        address:198.51.100.7 port 443 75% high "C2" [tlp:amber misp:confidence-level="usually-confident"] <a1>
        domain:evil.example 75% high "Emotet wave" [tlp:amber misp:confidence-level="usually-confident"] <a2>
        address:198.51.100.8 75% high "Emotet wave" [tlp:amber misp:confidence-level="usually-confident"] <a2>
        sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 75% high from 2026-11-01T00:00 "Emotet wave" [tlp:amber misp:confidence-level="usually-confident"] <a3>
        url:http://evil.example/a 25% high "Emotet wave" [misp:confidence-level="rarely-confident" tlp:amber misp:confidence-level="usually-confident"] <a4>
        md5:900150983cd24fb0d6963f7d28e17f72 75% high "Emotet wave" [tlp:amber misp:confidence-level="usually-confident"] <o1>
        passed 1: not for detection
        refused file:9: `a7`: no look-up for the type `mutex`
        refused file:10: `a8`: not a hash of this kind
        refused file:11: not an attribute as MISP has it: a text or number should be here
        widened 1
    "#]]
    .assert_eq(&told(Format::Misp, &filled(event)));

    let search = r#"{"response": {"Attribute": [
        {"type": "domain", "value": "evil.example", "to_ids": true, "uuid": "a1", "Event": {"info": "A wave"}}]}}"#;
    expect![[r#"
        domain:evil.example 50% "A wave" <a1>
    "#]]
    .assert_eq(&told(Format::Misp, search));

    let events = r#"{"response": [{"Event": {"info": "one", "Attribute": [{"type": "domain", "value": "a.example", "to_ids": true}]}},
        {"Event": {"info": "two", "Attribute": [{"type": "domain", "value": "b.example", "to_ids": true}]}}]}"#;
    expect![[r#"
        domain:a.example 50% "one"
        domain:b.example 50% "two"
    "#]]
    .assert_eq(&told(Format::Misp, events));
}
