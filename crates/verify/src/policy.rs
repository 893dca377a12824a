//! Whose keys are believed.
//!
//! A text file: `log VKEY`, `epoch0 HEX` (the public key of the first epoch), `witness VKEY` lines, `quorum N` (how many of the
//! witnesses must have cosigned; otherwise all), `tsa BASE64` lines (certificates, in DER, of which those of time-stamping
//! authorities must come). Empty lines and lines that begin with `#` are left alone.

use base64::{Engine, engine::general_purpose::STANDARD};
use vedette_ledger::{
    note::{KeyKind, Note, VerifierKey},
    sealer::parse_hex,
    timestamp::Roots,
};

/// Keys that do not come from the folder that is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The log's.
    pub log: Option<VerifierKey>,
    /// Of the first epoch.
    pub first_epoch: Option<[u8; 32]>,
    /// Of witnesses.
    pub witnesses: Vec<VerifierKey>,
    /// How many of them must have cosigned.
    pub quorum: usize,
    /// Of time-stamping authorities; if there are none, anybody's tokens are believed.
    pub authorities: Roots,
}

/// A policy that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Policy {
    /// The newest time at which a witness cosigned a note; and what is wrong if too few have.
    pub(crate) fn witnessed(&self, note: &Note) -> (Option<u64>, Option<String>) {
        let times = self.witnesses.iter().filter_map(|witness| witness.verify(note).ok().flatten());
        let times: Vec<u64> = times.collect();
        let missing = (times.len() < self.quorum)
            .then(|| format!("{} of the policy's witnesses have cosigned it; {} are needed", times.len(), self.quorum));
        (times.into_iter().max(), missing)
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// A line is not one of a policy.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let mut policy = Policy::default();
        let mut quorum = None;
        for (line, text) in (1..).zip(text.lines()) {
            let error = |what: String| PolicyError { line, what };
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (word, value) = text.split_once(' ').unwrap_or((text, ""));
            let key = |kind| match value.trim().parse::<VerifierKey>() {
                Ok(key) if key.kind() == kind => Ok(key),
                Ok(_) => Err(error(format!("the key of a {word} is of another type"))),
                Err(why) => Err(error(why.to_string())),
            };
            match word {
                "log" if policy.log.is_none() => policy.log = Some(key(KeyKind::Ed25519)?),
                "epoch0" if policy.first_epoch.is_none() => {
                    let public = parse_hex(value.trim());
                    policy.first_epoch = Some(public.ok_or_else(|| error("not 64 hexadecimal digits".into()))?);
                }
                "witness" => policy.witnesses.push(key(KeyKind::Cosignature)?),
                "quorum" if quorum.is_none() => {
                    let number = value.trim().parse::<usize>();
                    quorum = Some(number.map_err(|_| error("a quorum is a number".into()))?);
                }
                "tsa" => {
                    let der = STANDARD.decode(value.trim()).map_err(|_| error("not a certificate in base64".into()))?;
                    policy.authorities.add(der).map_err(|why| error(why.to_string()))?;
                }
                "log" | "epoch0" | "quorum" => return Err(error(format!("a second `{word}`"))),
                _ => return Err(error(format!("`{word}` is none of `log`, `epoch0`, `witness`, `quorum`, `tsa`"))),
            }
        }
        policy.quorum = quorum.unwrap_or(policy.witnesses.len());
        if policy.quorum > policy.witnesses.len() {
            return Err(PolicyError { line: 0, what: "the quorum is larger than the number of witnesses".into() });
        }
        Ok(policy)
    }
}
