//! JSON written as it goes, without a tree.

/// Text with JSON's escapes. Bytes that are not UTF-8 stay as they are: what a sender logs is stored as it is.
pub(crate) fn text(bytes: &[u8], json: &mut Vec<u8>) {
    json.push(b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', *byte]),
            b'\n' => json.extend_from_slice(b"\\n"),
            b'\r' => json.extend_from_slice(b"\\r"),
            b'\t' => json.extend_from_slice(b"\\t"),
            0..0x20 => {
                let low = b"0123456789abcdef"[usize::from(byte & 0x0f)];
                json.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), low]);
            }
            _ => json.push(*byte),
        }
    }
    json.push(b'"');
}

/// A number that JSON has; text for those that it has not.
pub(crate) fn number(value: f64, json: &mut Vec<u8>) {
    match value.is_finite() {
        true => json.extend_from_slice(serde_json::Value::from(value).to_string().as_bytes()),
        false => text(value.to_string().as_bytes(), json),
    }
}

/// `,"name":`, without the comma behind an opening brace.
pub(crate) fn name(name: &str, json: &mut Vec<u8>) {
    if !matches!(json.last(), Some(b'{' | b'[')) {
        json.push(b',');
    }
    text(name.as_bytes(), json);
    json.push(b':');
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_are_escaped() {
        let all: Vec<u8> = (0..0x80).collect();
        let mut json = Vec::new();
        super::text(&all, &mut json);
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap().into_bytes(), all);
    }
}
