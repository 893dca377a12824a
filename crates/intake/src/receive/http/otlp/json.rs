//! `ExportLogsServiceRequest` in OTLP/JSON: numbers of 64 bits are text, ids hexadecimal, names in lower camel case; unknown names
//! are ignored, and so are null members.

use serde_json::{Map, Value};

use super::{
    super::message::{Unpacked, Unreadable},
    MAX_DEPTH,
};

/// The log records of a request, as JSON with plain attributes.
pub(super) fn unpack(message: &[u8], records: &mut Unpacked) -> Result<(), Unreadable> {
    let request: Value =
        serde_json::from_slice(message).map_err(|error| format!("the message is no valid JSON: {error}"))?;
    let Value::Object(mut request) = request else {
        return Err("the message is no JSON object".to_owned().into());
    };
    for resource_logs in list(&mut request, "resourceLogs")? {
        let mut resource_logs = object(resource_logs, "resourceLogs")?;
        let mut resource = plain(resource_logs.remove("resource"))?;
        if let Some(url) = resource_logs.remove("schemaUrl").filter(|url| *url != "") {
            resource.insert("schemaUrl".to_owned(), url);
        }
        for scope_logs in list(&mut resource_logs, "scopeLogs")? {
            let mut scope_logs = object(scope_logs, "scopeLogs")?;
            let mut scope = plain(scope_logs.remove("scope"))?;
            if let Some(url) = scope_logs.remove("schemaUrl").filter(|url| *url != "") {
                scope.insert("schemaUrl".to_owned(), url);
            }
            for record in list(&mut scope_logs, "logRecords")? {
                let mut record = plain(Some(record))?;
                if let Some(body) = record.get_mut("body") {
                    *body = any(body.take(), 0)?;
                }
                let mut document = Map::new();
                document.insert("resource".to_owned(), Value::Object(resource.clone()));
                document.insert("scope".to_owned(), Value::Object(scope.clone()));
                document.extend(record);
                records.add(Value::Object(document).to_string().into())?;
            }
        }
    }
    Ok(())
}

fn list(object: &mut Map<String, Value>, name: &str) -> Result<Vec<Value>, String> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("`{name}` is no list")),
    }
}

fn object(value: Value, name: &str) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(format!("`{name}` holds something else than objects")),
    }
}

/// An object whose attributes are made plain.
fn plain(value: Option<Value>) -> Result<Map<String, Value>, String> {
    let mut object = match value {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(value) => self::object(value, "the message")?,
    };
    object.retain(|_, value| !value.is_null());
    if let Some(attributes) = object.get_mut("attributes") {
        *attributes = pairs(attributes.take(), 0)?;
    }
    Ok(object)
}

/// `[{"key": …, "value": …}]` as an object; a key that is there twice keeps its last value.
fn pairs(list: Value, depth: usize) -> Result<Value, String> {
    let Value::Array(list) = list else { return Err("attributes are no list of keys and values".to_owned()) };
    let mut object = Map::with_capacity(list.len());
    for pair in list {
        let mut pair = self::object(pair, "attributes")?;
        let Some(Value::String(key)) = pair.remove("key") else { return Err("an attribute has no key".to_owned()) };
        object.insert(key, any(pair.remove("value").unwrap_or_default(), depth + 1)?);
    }
    Ok(Value::Object(object))
}

/// An `AnyValue`.
fn any(value: Value, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("values are nested deeper than {MAX_DEPTH} levels"));
    }
    let Value::Object(object) = value else { return Ok(Value::Null) };
    let Some((kind, value)) = object.into_iter().next() else { return Ok(Value::Null) };
    Ok(match (kind.as_str(), value) {
        ("intValue", Value::String(text)) => text.parse::<i64>().map_or(Value::String(text), Value::from),
        ("arrayValue", Value::Object(mut array)) => {
            let values = list(&mut array, "values")?;
            Value::Array(values.into_iter().map(|value| any(value, depth + 1)).collect::<Result<_, _>>()?)
        }
        ("kvlistValue", Value::Object(mut list)) => {
            pairs(list.remove("values").unwrap_or(Value::Array(vec![])), depth)?
        }
        ("arrayValue" | "kvlistValue", _) => Value::Null,
        (_, value) => value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::http::message::unpacked;

    #[test]
    fn a_request_becomes_documents() {
        let request = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
            "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[
                {"timeUnixNano":"1000000000","severityNumber":9,"body":{"stringValue":"hello"},"traceId":"ab","flags":null,
                 "attributes":[{"key":"n","value":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"5"}}]}}},
                               {"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{"doubleValue":1.5}]}}}]},
                {}]}]}]}"#;
        let documents: Vec<String> = unpacked(unpack, request.as_bytes())
            .unwrap()
            .iter()
            .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
            .collect();
        assert_eq!(
            documents,
            [
                r#"{"resource":{"attributes":{"service.name":"shop"}},"scope":{"name":"lib"},"timeUnixNano":"1000000000","severityNumber":9,"body":"hello","traceId":"ab","attributes":{"n":{"a":5},"l":[true,1.5]}}"#,
                r#"{"resource":{"attributes":{"service.name":"shop"}},"scope":{"name":"lib"}}"#,
            ]
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        for request in [
            "",
            "[]",
            "{\"resourceLogs\":{}}",
            "{\"resourceLogs\":[1]}",
            r#"{"resourceLogs":[{"resource":{"attributes":{}}}]}"#,
        ] {
            assert!(unpacked(unpack, request.as_bytes()).is_err(), "{request}");
        }
        assert!(unpacked(unpack, b"{}").unwrap().is_empty());
        let deep = r#"{"arrayValue":{"values":["#.repeat(35) + "{}" + &"]}}".repeat(35);
        let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}}}]}}]}}]}}"#);
        let refused = unpacked(unpack, request.as_bytes()).unwrap_err();
        assert!(matches!(refused, Unreadable::Malformed(reason) if reason.contains("nested deeper")));
    }
}
