//! The set against a naive one that compares everything with everything.

use std::net::IpAddr;

use proptest::prelude::*;
use vedette_indicator::{Indicators, Kind, Known, Look, Observable};

use crate::support::indicator;

/// Whether an observable is meant by an address, written out without any of the crate's own ways.
fn address_is_in(address: IpAddr, observable: &Observable) -> bool {
    let text = observable.to_string();
    match observable.kind() {
        Kind::Address => text.parse::<IpAddr>().unwrap() == address,
        Kind::Network => {
            let (first, length) = text.split_once('/').unwrap();
            let bits = |address: IpAddr| -> Vec<bool> {
                let bytes = match address {
                    IpAddr::V4(v4) => v4.octets().to_vec(),
                    IpAddr::V6(v6) => v6.octets().to_vec(),
                };
                bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
            };
            let first: IpAddr = first.parse().unwrap();
            let length: usize = length.parse().unwrap();
            first.is_ipv4() == address.is_ipv4() && bits(first)[..length] == bits(address)[..length]
        }
        _ => false,
    }
}

fn domain_is_in(domain: &str, observable: &Observable) -> bool {
    let above = observable.to_string();
    observable.kind() == Kind::Domain && (domain == above || domain.ends_with(&format!(".{above}")))
}

fn names(known: &[Known<'_>]) -> Vec<String> {
    let mut names: Vec<String> = known.iter().map(|known| known.observable().to_string()).collect();
    names.sort();
    names
}

fn naive(all: &[Observable], is_meant: impl Fn(&Observable) -> bool) -> Vec<String> {
    let mut names: Vec<String> = all.iter().filter(|one| is_meant(one)).map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names
}

/// Few letters and numbers, so that things meet.
fn domains() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]{1,2}", 1..5).prop_map(|labels| format!("{}.ex", labels.join(".")))
}

fn v4() -> impl Strategy<Value = String> {
    (0_u8..3, 0_u8..3).prop_map(|(c, d)| format!("198.51.{}.{}", c * 127, d * 127))
}

fn v6() -> impl Strategy<Value = String> {
    (0_u16..3, 0_u16..3).prop_map(|(c, d)| format!("2001:db8:{:x}::{:x}", c * 0x7fff, d * 0x7fff))
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        v4(),
        v6(),
        (v4(), 8_u8..=32).prop_map(|(address, length)| format!("{address}/{length}")),
        (v6(), 16_u8..=128).prop_map(|(address, length)| format!("{address}/{length}")),
        domains(),
        domains().prop_map(|domain| format!("http://{domain}/a")),
        domains().prop_map(|domain| format!("{domain}/a")),
        domains().prop_map(|domain| format!("x@{domain}")),
        "[0-2]{2}".prop_map(|digits| digits.repeat(16)),
        "[0-2]{2}".prop_map(|digits| digits.repeat(32)),
    ]
}

proptest! {
    #[test]
    fn look_ups_find_what_comparing_all_finds(
        texts in prop::collection::vec(texts(), 0..60),
        addresses in prop::collection::vec(prop_oneof![v4(), v6()], 1..10),
        domains in prop::collection::vec(domains(), 1..10),
        hashes in prop::collection::vec("[0-2]{2}", 1..5),
    ) {
        let indicators: Vec<_> = texts.iter().map(|text| indicator(text)).collect();
        let all: Vec<Observable> = indicators.iter().map(|indicator| indicator.observable.clone()).collect();
        let set = Indicators::compile(indicators);
        let look = |look: Look, text: &str| {
            let mut known = Vec::new();
            set.look_up(look, text, &mut known);
            names(&known)
        };
        for text in &addresses {
            let address: IpAddr = text.parse().unwrap();
            let want = naive(&all, |one| address_is_in(address, one));
            prop_assert_eq!(&look(Look::Address, text), &want);
            prop_assert_eq!(&look(Look::Host, text), &want);
        }
        for domain in &domains {
            let want = naive(&all, |one| domain_is_in(domain, one));
            prop_assert_eq!(&look(Look::Domain, &domain.to_uppercase()), &want);
            let url = format!("http://{domain}/a");
            let with_url = naive(&all, |one| domain_is_in(domain, one) || one.kind() == Kind::Url && [url.clone(), url[5..].to_owned()].contains(&one.to_string()));
            prop_assert_eq!(&look(Look::Url, &url), &with_url);
            let mail = format!("x@{domain}");
            prop_assert_eq!(&look(Look::Mail, &mail), &naive(&all, |one| domain_is_in(domain, one) || one.to_string() == mail));
        }
        for digits in &hashes {
            for times in [16, 32] {
                let hash = digits.repeat(times);
                let want = naive(&all, |one| one.to_string() == hash);
                prop_assert_eq!(&look(Look::Hash, &hash), &want);
                prop_assert_eq!(&look(Look::Hashes, &format!("MD5={hash},SHA1=zz")), &want);
            }
        }
        // Everything is there once, and nothing is new in itself.
        let mut every: Vec<String> = set.observables().map(|known| known.observable().to_string()).collect();
        every.sort();
        prop_assert_eq!(every, naive(&all, |_| true));
        prop_assert_eq!(set.new_in(&set).count(), 0);
        prop_assert!(all.iter().all(|one| set.get(one).is_some()));
    }

    #[test]
    fn what_is_read_is_written_and_read_again(text in "[a-z0-9:/.@\\[\\]% \u{e4}#?-]{0,40}") {
        if let Ok((observable, _)) = Observable::guess(&text) {
            prop_assert_eq!(Observable::read(observable.kind(), &observable.to_string()), Ok(observable));
        }
    }
}
