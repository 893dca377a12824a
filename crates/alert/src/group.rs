//! Which findings belong together.

use vedette_event::{Entity, Finding};

/// The entity a finding is grouped by: its first, else the host, else the source, else the events' source number.
pub fn entity(finding: &Finding, host: Option<&str>, source: Option<&str>) -> Entity {
    let of = |kind: &str, value: &str| Entity { kind: kind.to_owned(), value: value.to_owned() };
    if let Some(first) = finding.entities.first() {
        return first.clone();
    }
    if let Some(host) = host {
        return of("host", host);
    }
    if let Some(source) = source {
        return of("source", source);
    }
    let number = finding.events.first().map_or_else(|| "unknown".to_owned(), |event| event.source.0.to_string());
    of("source", &number)
}

/// The group's key: a hash, because a rule id or an entity's value may be long and hold any character.
pub(crate) fn key(rule: &str, entity: &Entity) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in [rule, &entity.kind, &entity.value] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_run_together() {
        let entity = |kind: &str, value: &str| Entity { kind: kind.into(), value: value.into() };
        assert_eq!(key("r", &entity("ip", "a")), key("r", &entity("ip", "a")));
        assert_ne!(key("r", &entity("ip", "a")), key("ri", &entity("p", "a")));
        assert_ne!(key("r", &entity("ip", "a")), key("r", &entity("i", "pa")));
    }
}
