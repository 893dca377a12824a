//! `ExportLogsServiceRequest` in protobuf
//! ([logs.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/logs/v1/logs.proto), 1.x).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    super::{
        message::{Unpacked, Unreadable},
        protobuf::{Damaged, Value, fields},
    },
    MAX_DEPTH,
};
use crate::receive::json_text::{name, number, text};

/// The log records of a request, as JSON.
pub(super) fn unpack(message: &[u8], records: &mut Unpacked) -> Result<(), Unreadable> {
    for field in fields(message) {
        // resource_logs
        if let (1, Value::Bytes(resource_logs)) = field? {
            self::resource_logs(resource_logs, records)?;
        }
    }
    Ok(())
}

fn resource_logs(message: &[u8], records: &mut Unpacked) -> Result<(), Unreadable> {
    let mut resource = b"{\"resource\":{".to_vec();
    let mut schema = &b""[..];
    for field in fields(message) {
        match field? {
            (1, Value::Bytes(message)) => self::resource(message, &mut resource)?,
            (3, Value::Bytes(url)) => schema = url,
            _ => {}
        }
    }
    if !schema.is_empty() {
        name("schemaUrl", &mut resource);
        text(schema, &mut resource);
    }
    resource.push(b'}');
    for field in fields(message) {
        if let (2, Value::Bytes(scope_logs)) = field? {
            self::scope_logs(scope_logs, &resource, records)?;
        }
    }
    Ok(())
}

fn resource(message: &[u8], json: &mut Vec<u8>) -> Result<(), Damaged> {
    attributes(message, 1, "attributes", json, 0)?;
    dropped(message, 2, json)
}

fn scope_logs(message: &[u8], resource: &[u8], records: &mut Unpacked) -> Result<(), Unreadable> {
    records.spend(resource.len())?;
    let mut before = resource.to_vec();
    name("scope", &mut before);
    before.push(b'{');
    let mut schema = &b""[..];
    for field in fields(message) {
        match field? {
            (1, Value::Bytes(message)) => scope(message, &mut before)?,
            (3, Value::Bytes(url)) => schema = url,
            _ => {}
        }
    }
    if !schema.is_empty() {
        name("schemaUrl", &mut before);
        text(schema, &mut before);
    }
    before.push(b'}');
    for field in fields(message) {
        if let (2, Value::Bytes(record)) = field? {
            let mut json = Vec::with_capacity(before.len() + 2 * record.len() + 64);
            json.extend_from_slice(&before);
            log_record(record, &mut json)?;
            json.push(b'}');
            records.add(json)?;
        }
    }
    Ok(())
}

fn scope(message: &[u8], json: &mut Vec<u8>) -> Result<(), Damaged> {
    for field in fields(message) {
        match field? {
            (1, Value::Bytes(value)) => member("name", value, json),
            (2, Value::Bytes(value)) => member("version", value, json),
            _ => {}
        }
    }
    attributes(message, 3, "attributes", json, 0)?;
    dropped(message, 4, json)
}

fn log_record(message: &[u8], json: &mut Vec<u8>) -> Result<(), Damaged> {
    for field in fields(message) {
        match field? {
            // 64-bit numbers are text in OTLP/JSON.
            (1, Value::Fixed64(nanos)) if nanos > 0 => member("timeUnixNano", nanos.to_string().as_bytes(), json),
            (11, Value::Fixed64(nanos)) if nanos > 0 => {
                member("observedTimeUnixNano", nanos.to_string().as_bytes(), json);
            }
            (2, Value::Varint(severity)) => {
                name("severityNumber", json);
                json.extend_from_slice(severity.to_string().as_bytes());
            }
            (3, Value::Bytes(severity)) => member("severityText", severity, json),
            (5, Value::Bytes(body)) => {
                name("body", json);
                any(body, json, 0)?;
            }
            (8, Value::Fixed32(flags)) if flags > 0 => {
                name("flags", json);
                json.extend_from_slice(flags.to_string().as_bytes());
            }
            (9, Value::Bytes(id)) if !id.is_empty() => member("traceId", hex(id).as_bytes(), json),
            (10, Value::Bytes(id)) if !id.is_empty() => member("spanId", hex(id).as_bytes(), json),
            (12, Value::Bytes(event)) => member("eventName", event, json),
            _ => {}
        }
    }
    attributes(message, 6, "attributes", json, 0)?;
    dropped(message, 7, json)
}

fn member(key: &str, value: &[u8], json: &mut Vec<u8>) {
    name(key, json);
    text(value, json);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn dropped(message: &[u8], number: u32, json: &mut Vec<u8>) -> Result<(), Damaged> {
    for field in fields(message) {
        if let (found, Value::Varint(count)) = field?
            && found == number
            && count > 0
        {
            name("droppedAttributesCount", json);
            json.extend_from_slice(count.to_string().as_bytes());
        }
    }
    Ok(())
}

/// The repeated `KeyValue` of a number, as one object.
fn attributes(message: &[u8], wanted: u32, key: &str, json: &mut Vec<u8>, depth: usize) -> Result<(), Damaged> {
    let is_there = fields(message).any(|field| matches!(field, Ok((found, _)) if found == wanted));
    if is_there {
        name(key, json);
        pairs(message, wanted, json, depth)?;
    }
    Ok(())
}

fn pairs(message: &[u8], wanted: u32, json: &mut Vec<u8>, depth: usize) -> Result<(), Damaged> {
    json.push(b'{');
    let mut is_first = true;
    for field in fields(message) {
        let (found, Value::Bytes(pair)) = field? else { continue };
        if found != wanted {
            continue;
        }
        if !is_first {
            json.push(b',');
        }
        is_first = false;
        let (mut key, mut value) = (&b""[..], &b""[..]);
        for field in fields(pair) {
            match field? {
                (1, Value::Bytes(bytes)) => key = bytes,
                (2, Value::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        text(key, json);
        json.push(b':');
        any(value, json, depth + 1)?;
    }
    json.push(b'}');
    Ok(())
}

/// An `AnyValue`.
fn any(message: &[u8], json: &mut Vec<u8>, depth: usize) -> Result<(), Damaged> {
    if depth > MAX_DEPTH {
        return Err(Damaged);
    }
    // Of a oneof the last one counts.
    let Some(field) = fields(message).last() else {
        json.extend_from_slice(b"null");
        return Ok(());
    };
    match field? {
        (1, Value::Bytes(value)) => text(value, json),
        (2, Value::Varint(value)) => json.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        (3, Value::Varint(value)) => json.extend_from_slice((value as i64).to_string().as_bytes()),
        (4, Value::Fixed64(bits)) => number(f64::from_bits(bits), json),
        (5, Value::Bytes(array)) => {
            json.push(b'[');
            let mut is_first = true;
            for field in fields(array) {
                if let (1, Value::Bytes(value)) = field? {
                    if !is_first {
                        json.push(b',');
                    }
                    is_first = false;
                    any(value, json, depth + 1)?;
                }
            }
            json.push(b']');
        }
        (6, Value::Bytes(list)) => pairs(list, 1, json, depth)?,
        (7, Value::Bytes(bytes)) => text(STANDARD.encode(bytes).as_bytes(), json),
        _ => json.extend_from_slice(b"null"),
    }
    Ok(())
}

/// An `ExportLogsServiceResponse`.
pub(super) fn response(rejected: u64, reason: Option<&str>) -> Vec<u8> {
    let Some(reason) = reason else { return Vec::new() };
    let mut partial = vec![0x08];
    varint(rejected, &mut partial);
    bytes_field(2, reason.as_bytes(), &mut partial);
    let mut response = Vec::new();
    bytes_field(1, &partial, &mut response);
    response
}

/// A `google.rpc.Status`.
pub(super) fn status(code: u16, message: &str) -> Vec<u8> {
    let mut status = vec![0x08];
    varint(u64::from(code), &mut status);
    bytes_field(2, message.as_bytes(), &mut status);
    status
}

fn bytes_field(number: u8, bytes: &[u8], to: &mut Vec<u8>) {
    to.push(number << 3 | 2);
    varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;
    use crate::receive::http::message::unpacked;

    fn field(number: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut field = Vec::new();
        bytes_field(number, &parts.concat(), &mut field);
        field
    }

    fn pair(number: u8, key: &str, value: &[u8]) -> Vec<u8> {
        field(number, &[&field(1, &[key.as_bytes()]), &field(2, &[value])])
    }

    #[test]
    fn a_request_becomes_documents() {
        let text_value = |value: &str| field(1, &[value.as_bytes()]);
        let resource = field(1, &[&pair(1, "service.name", &text_value("shop"))]);
        let scope = field(1, &[&field(1, &[b"lib"]), &field(2, &[b"1.0"])]);
        let nested = field(6, &[&pair(1, "a", &[0x18, 0x05]), &pair(1, "b", &field(5, &[&field(1, &[&[0x10, 1]])]))]);
        let record = field(
            2,
            &[
                &[0x09, 0, 0xca, 0x9a, 0x3b, 0, 0, 0, 0][..],
                &[0x10, 0x09],
                &field(3, &[b"INFO"]),
                &field(5, &[&text_value("hello \"you\"")]),
                &pair(6, "n", &nested),
                &pair(6, "blob", &field(7, &[b"\xff"])),
                &field(9, &[&[0xab; 16]]),
                &field(12, &[b"login"]),
            ],
        );
        let second = field(2, &[&field(5, &[&[0x21, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]])]);
        let message = field(1, &[&resource, &field(2, &[&scope, &record, &second])]);
        let documents: Vec<String> = unpacked(unpack, &message)
            .unwrap()
            .iter()
            .map(|record| String::from_utf8(record.to_vec()).unwrap())
            .collect();
        assert_eq!(
            documents,
            [
                r#"{"resource":{"attributes":{"service.name":"shop"}},"scope":{"name":"lib","version":"1.0"},"timeUnixNano":"1000000000","severityNumber":9,"severityText":"INFO","body":"hello \"you\"","traceId":"abababababababababababababababab","eventName":"login","attributes":{"n":{"a":5,"b":[true]},"blob":"/w=="}}"#,
                r#"{"resource":{"attributes":{"service.name":"shop"}},"scope":{"name":"lib","version":"1.0"},"body":"NaN"}"#,
            ]
        );
        assert!(unpacked(unpack, &message[..message.len() - 1]).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let mut value = field(1, &[b"x"]);
        for _ in 0..60 {
            value = field(5, &[&field(1, &[&value])]);
        }
        let message = field(1, &[&field(2, &[&field(2, &[&field(5, &[&value])])])]);
        assert!(unpacked(unpack, &message).is_err());
    }

    /// A resource stands in the message once and in each of its records.
    #[test]
    fn what_records_share_is_bounded() {
        let long = |number: u8, bytes: &[u8]| {
            let mut field = Vec::new();
            bytes_field(number, bytes, &mut field);
            field
        };
        let resource = long(1, &long(1, &long(1, &vec![b'x'; 1 << 20])));
        let (records, scopes) = (long(2, &b"\x12\0".repeat(1000)), b"\x12\0".repeat(1000));
        for behind in [records, scopes] {
            let message = long(1, &[&resource[..], &behind].concat());
            assert_eq!(unpacked(unpack, &message), Err(Unreadable::TooLarge));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_json_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for document in unpacked(unpack, &bytes).unwrap_or_default() {
                let valid = serde_json::from_slice::<serde::de::IgnoredAny>(&document).is_ok();
                prop_assert!(valid, "{}", document.escape_ascii());
            }
        }
    }
}
