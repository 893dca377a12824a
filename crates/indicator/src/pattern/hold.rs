//! Which look-ups are the same as a pattern.
//!
//! Alternatives (`OR`, `IN`) are look-ups each. `AND` within one observation is held where it says no more than a look-up does: hashes of one file
//! (each of them names it), an address with its port, and the address's type beside it. A file's name or size beside its hash is
//! left out: the hash already says which file it is. Everything else is refused, with its reason; nothing is held by half.

use super::{
    Read, Refusal,
    parse::{Comparison, Observations},
};
use crate::{Kind, Observable, normal};

/// Most look-ups that a pattern becomes.
const MAX_HELD: usize = 20_000;

/// A look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub observable: Observable,
    pub port: Option<u16>,
}

/// What a comparison comes to.
enum Meaning {
    /// Any of these, all properties of objects of this type; none if of several types.
    AnyOf(Vec<Held>, Option<String>),
    /// The port of an address, any of these. The property's name is kept for the refusal.
    Port(Vec<u16>, String),
    /// The type of an address beside it.
    AddressType(String),
    /// A file's name or size.
    FileTrait(String),
}

fn unheld<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unheld(message.into()))
}

pub(super) fn observations(parsed: &Observations) -> Result<Read, Refusal> {
    match parsed {
        Observations::One(comparison) => {
            let mut widened = false;
            match meaning(comparison, &mut widened)? {
                Meaning::AnyOf(held, _) => Ok(Read { held, widened }),
                Meaning::Port(_, path) | Meaning::AddressType(path) => unheld(format!("no look-up for `{path}` alone")),
                Meaning::FileTrait(path) => unheld(format!("no look-up for `{path}`")),
            }
        }
        Observations::Any(any) => {
            let mut all = Read { held: Vec::new(), widened: false };
            for one in any {
                let Read { held, widened } = observations(one)?;
                all.held.extend(held);
                all.widened |= widened;
                within(&all.held)?;
            }
            Ok(all)
        }
        Observations::Several | Observations::Repeated => unheld("asks for several observations"),
        Observations::Timed => unheld("asks for a time of its own"),
    }
}

fn within(held: &[Held]) -> Result<(), Refusal> {
    if held.len() > MAX_HELD { unheld("more than 20,000 values") } else { Ok(()) }
}

fn meaning(comparison: &Comparison, widened: &mut bool) -> Result<Meaning, Refusal> {
    match comparison {
        Comparison::Test { object, property, operator, values } => test(object, property, operator, values),
        Comparison::Any(any) => {
            let (mut all, mut ports, mut types) = (Vec::new(), Vec::new(), Vec::new());
            let mut port_path = None;
            for one in any {
                match meaning(one, widened)? {
                    Meaning::AnyOf(held, object) => {
                        all.extend(held);
                        types.push(object);
                        within(&all)?;
                    }
                    Meaning::Port(port, path) if port_path.as_ref().is_none_or(|known| *known == path) => {
                        ports.extend(port);
                        port_path = Some(path);
                    }
                    Meaning::Port(_, path) | Meaning::AddressType(path) | Meaning::FileTrait(path) => {
                        return unheld(format!("no look-up for `{path}`"));
                    }
                }
            }
            match port_path {
                Some(path) if all.is_empty() => Ok(Meaning::Port(ports, path)),
                Some(path) => unheld(format!("no look-up for `{path}`")),
                None => {
                    types.dedup();
                    let object = if types.len() == 1 { types.remove(0) } else { None };
                    Ok(Meaning::AnyOf(all, object))
                }
            }
        }
        Comparison::All(all) => together(all, widened),
    }
}

fn together(all: &[Comparison], widened: &mut bool) -> Result<Meaning, Refusal> {
    let several = || unheld("asks for several things at once");
    let (mut sets, mut ports, mut types, mut traits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in all {
        match meaning(one, widened)? {
            Meaning::AnyOf(held, object) => sets.push((held, object)),
            Meaning::Port(any, path) => ports.push((any, path)),
            Meaning::AddressType(path) => types.push(path),
            Meaning::FileTrait(path) => traits.push(path),
        }
    }
    let is_hash = |held: &Held| held.observable.kind().is_hash();
    let held = if sets.len() > 1 {
        // Hashes of one object, each a single one.
        let of_one = sets
            .iter()
            .all(|(held, object)| held.len() == 1 && is_hash(&held[0]) && object.is_some() && *object == sets[0].1);
        if !of_one {
            return several();
        }
        sets.into_iter().flat_map(|(held, _)| held).collect()
    } else {
        match sets.pop() {
            Some((held, _)) => held,
            None => {
                let path = ports.pop().map(|(_, path)| path).or(types.pop()).or(traits.pop()).unwrap_or_default();
                return unheld(format!("no look-up for `{path}` alone"));
            }
        }
    };
    if !traits.is_empty() {
        if !held.iter().all(is_hash) {
            return several();
        }
        *widened = true;
    }
    let is_address = |held: &Held| matches!(held.observable.kind(), Kind::Address | Kind::Network);
    let has_place = held.iter().all(|held| is_address(held) || held.observable.kind() == Kind::Domain);
    let may_have_port = has_place && held.iter().all(|held| held.port.is_none());
    if (!types.is_empty() && !has_place) || (!ports.is_empty() && !may_have_port) {
        return several();
    }
    let held = match ports.len() {
        0 => held,
        1 => {
            let (ports, _) = ports.remove(0);
            if held.len().saturating_mul(ports.len()) > MAX_HELD {
                return unheld("more than 20,000 values");
            }
            let at =
                |held: &Held| ports.iter().map(|port| Held { port: Some(*port), ..held.clone() }).collect::<Vec<_>>();
            held.iter().flat_map(at).collect()
        }
        _ => return several(),
    };
    Ok(Meaning::AnyOf(held, None))
}

fn test(object: &str, property: &str, operator: &str, values: &[String]) -> Result<Meaning, Refusal> {
    let path = || format!("{object}:{property}");
    let last = property.rsplit('.').next().unwrap_or(property);
    match operator {
        "=" | "IN" => {}
        "ISSUBSET" if matches!(object, "ipv4-addr" | "ipv6-addr") || property.ends_with("_ref.value") => {}
        other => return unheld(format!("`{other}` is no look-up")),
    }
    match (object, property) {
        ("network-traffic", "dst_port" | "src_port") => {
            let ports: Option<Vec<u16>> = values.iter().map(|value| normal::port(value)).collect();
            return match ports {
                Some(ports) => Ok(Meaning::Port(ports, path())),
                None => unheld("not a port"),
            };
        }
        ("network-traffic", "dst_ref.type" | "src_ref.type") => {
            let known = values.iter().all(|value| matches!(value.as_str(), "ipv4-addr" | "ipv6-addr" | "domain-name"));
            return if known {
                Ok(Meaning::AddressType(path()))
            } else {
                unheld(format!("no look-up for `{}`", path()))
            };
        }
        ("file", "name" | "size" | "mime_type" | "parent_directory_ref.path") => return Ok(Meaning::FileTrait(path())),
        _ => {}
    }
    let kind = match (object, property) {
        ("ipv4-addr" | "ipv6-addr", "value") => As::Kind(Kind::Address),
        ("domain-name", "value") => As::Kind(Kind::Domain),
        ("domain-name", "resolves_to_refs.value") | ("network-traffic", "dst_ref.value" | "src_ref.value") => As::Host,
        ("url", "value") => As::Kind(Kind::Url),
        ("email-addr", "value") => As::Kind(Kind::Mail),
        ("email-message", _) if property.ends_with("_ref.value") || property.ends_with("_refs.value") => {
            As::Kind(Kind::Mail)
        }
        (_, _) if property.starts_with("hashes.") || property.contains(".hashes.") => {
            match last.to_ascii_uppercase().replace('-', "").as_str() {
                "MD5" => As::Kind(Kind::Md5),
                "SHA1" => As::Kind(Kind::Sha1),
                "SHA256" => As::Kind(Kind::Sha256),
                "SHA512" => As::Kind(Kind::Sha512),
                _ => return unheld(format!("no look-up for `{}`", path())),
            }
        }
        _ => return unheld(format!("no look-up for `{}`", shortened(&path()))),
    };
    let mut held = Vec::new();
    for value in values {
        let read = match kind {
            As::Kind(kind) => Observable::read(kind, value),
            As::Host => match Observable::read(Kind::Address, value) {
                Err(crate::Unfit::Address) => Observable::read(Kind::Domain, value),
                read => read,
            },
        };
        match read {
            Ok(observable) => held.push(Held { observable, port: None }),
            Err(unfit) => return unheld(unfit.as_str()),
        }
    }
    within(&held)?;
    // `file:hashes.MD5` and `file:hashes.'SHA-1'` are of one object; so are those behind one reference.
    let around = property.strip_suffix(last).unwrap_or("");
    Ok(Meaning::AnyOf(held, Some(format!("{object}:{around}"))))
}

enum As {
    Kind(Kind),
    Host,
}

fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(64)]
}
