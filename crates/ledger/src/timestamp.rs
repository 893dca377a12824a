//! Time stamps of authorities ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161),
//! [RFC 5816](https://www.rfc-editor.org/rfc/rfc5816)): bytes in, bytes out. Asking over the network is somebody else's.
//!
//! A token is a CMS `SignedData` ([RFC 5652](https://www.rfc-editor.org/rfc/rfc5652)) that says: who had this hash, had it at
//! this time. What is signed is checked over the bytes as they came, never over what was encoded again.

mod asn1;

use std::time::Duration;

use der::{
    DateTime, Decode, Encode, Tag,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use rustls_pki_types::{
    CertificateDer, SignatureVerificationAlgorithm as Verification, UnixTime,
    pem::{PemObject, SectionKind},
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring as algorithms};
use x509_cert::{
    Certificate,
    ext::{Extensions, pkix::ExtendedKeyUsage},
    spki::AlgorithmIdentifierRef,
};

use self::asn1::{
    Accuracy, Attribute, Elements, EncapsulatedContent, MessageImprint, PkiStatusInfo, SignedData, SignerId,
    SignerInfo, SigningCertificate, SigningCertificateV2, TimeStampReq, TimeStampResp, TstInfo,
};
use crate::{FormatError, Hash};

/// A longer reply is refused, in bytes. Real ones have 2,000 to 8,000.
pub const MAX_REPLY_BYTES: usize = 32 << 10;
/// More of what a token says in words is left out, in characters.
const MAX_WORDS: usize = 200;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const ID_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ID_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const ID_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Certificates of authorities that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// The certificates of a PEM file.
    ///
    /// # Errors
    /// It has none, or something in it is none.
    pub fn from_pem(pem: &[u8]) -> Result<Roots, FormatError> {
        let mut roots = Roots::default();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section.map_err(|error| FormatError::new(format!("not PEM: {error}")))? {
                (SectionKind::Certificate, der) => roots.add(der)?,
                _ => return Err(FormatError::new("only certificates are expected here")),
            }
        }
        if roots.is_empty() { Err(FormatError::new("no certificate (PEM) is in it")) } else { Ok(roots) }
    }

    /// Adds a certificate (DER).
    ///
    /// # Errors
    /// It is none.
    pub fn add(&mut self, der: Vec<u8>) -> Result<(), FormatError> {
        let certificate = CertificateDer::from(der);
        anchor_from_trusted_cert(&certificate)
            .map_err(|error| FormatError::new(format!("not an X.509 certificate: {error}")))?;
        self.0.push(certificate);
        Ok(())
    }

    /// Whether nobody is believed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Asks for a token over a SHA-256 hash, with the authority's certificate in it.
///
/// # Errors
/// None that could happen: everything in it has a fixed length.
pub fn request(imprint: &Hash, nonce: u64) -> Result<Vec<u8>, FormatError> {
    let encode = || {
        let request = TimeStampReq {
            version: 1,
            message_imprint: MessageImprint {
                hash_algorithm: AlgorithmIdentifierRef { oid: ID_SHA256, parameters: Some(AnyRef::NULL) },
                hashed_message: OctetStringRef::new(imprint)?,
            },
            nonce,
            cert_req: true,
        };
        request.to_der()
    };
    encode().map_err(malformed("the request"))
}

/// What a token says, once it was [verified](Token::verify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When, in microseconds since 1970.
    pub time: i64,
    /// How far that may be off, in microseconds.
    pub accuracy: i64,
    /// Who says so: the subject of the certificate ([RFC 4514](https://www.rfc-editor.org/rfc/rfc4514)).
    pub tsa: String,
}

impl Stamp {
    /// What was stamped existed before this time, in microseconds since 1970.
    pub fn before(&self) -> i64 {
        self.time.saturating_add(self.accuracy)
    }
}

/// A token, taken apart. Nothing in it is believed before [`Token::verify`].
pub struct Token<'a> {
    info: TstInfo<'a>,
    /// What `info` was read from.
    content: &'a [u8],
    certificates: Vec<CertificateDer<'a>>,
    signer: SignerInfo<'a>,
    signed: Elements<'a>,
    time: i64,
}

impl<'a> Token<'a> {
    /// Reads an authority's reply (`TimeStampResp`, a `.tsr` file).
    ///
    /// # Errors
    /// It is none, it is one that refuses, or it has what RFC 3161 forbids.
    pub fn read(reply: &'a [u8]) -> Result<Token<'a>, FormatError> {
        if reply.len() > MAX_REPLY_BYTES {
            return Err(FormatError::new("a time-stamp reply is at most 32 KiB long"));
        }
        let reply = TimeStampResp::from_der(reply).map_err(malformed("the reply"))?;
        let content = match (reply.status.status, reply.token) {
            (0, Some(token)) if token.content_type == SIGNED_DATA => token.content,
            (0, _) => return Err(FormatError::new("the authority grants a token and sends none")),
            _ => return Err(FormatError::new(refusal(&reply.status))),
        };
        let data = content.decode_as::<SignedData<'_>>().map_err(malformed("the token's CMS"))?;
        let content = match data.content {
            EncapsulatedContent { kind: TST_INFO, content: Some(content) } => content.as_bytes(),
            _ => return Err(FormatError::new("the token has no time-stamp information")),
        };
        let info = TstInfo::from_der(content).map_err(malformed("the time-stamp information"))?;
        let signers: Vec<SignerInfo<'_>> = data.signers.read().map_err(malformed("the token's signer"))?;
        let [signer] = <[_; 1]>::try_from(signers).map_err(|_| FormatError::new("a token has one signer"))?;
        let algorithms: Vec<AlgorithmIdentifierRef<'_>> =
            data.digest_algorithms.read().map_err(malformed("the token's hashes"))?;
        if !algorithms.iter().any(|algorithm| algorithm.oid == signer.digest_algorithm.oid) {
            return Err(FormatError::new("the token does not name its hash"));
        }
        let signed = signer.signed_attributes.ok_or_else(|| FormatError::new("the token has no signed attributes"))?;
        let certificates = data.certificates.unwrap_or(Elements(&[])).certificates();
        Ok(Token {
            time: generalized_time(info.time)?,
            certificates: certificates.map_err(malformed("the token's certificates"))?,
            info,
            content,
            signer,
            signed,
        })
    }

    /// The time that it says, in microseconds since 1970.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// Whether it answers the request with this nonce.
    pub fn answers(&self, nonce: u64) -> bool {
        self.info.nonce.is_some_and(|answered| answered.to_der() == nonce.to_der())
    }

    /// Checks that it is about this SHA-256 hash and signed by the certificate in it, which is one for time stamps.
    ///
    /// # Errors
    /// What of this is not so.
    pub fn verify(&self, imprint: &Hash) -> Result<Stamp, FormatError> {
        let wrong = |what: &str| FormatError::new(format!("the token {what}"));
        let stamped = &self.info.message_imprint;
        if stamped.hash_algorithm.oid != ID_SHA256 || stamped.hashed_message.as_bytes() != imprint {
            return Err(wrong("is about something else"));
        }
        let critical = |extensions: &Extensions| extensions.iter().any(|extension| extension.critical);
        if self.info.version != 1 || self.info.extensions.as_ref().is_some_and(critical) {
            return Err(wrong("is of a kind that is not known"));
        }
        let accuracy = self.info.accuracy.as_ref().map_or(Some(0), micros);
        let accuracy = accuracy.ok_or_else(|| wrong("has an accuracy that is none"))?;

        let hash = match self.signer.digest_algorithm.oid {
            ID_SHA256 => &SHA256,
            ID_SHA384 => &SHA384,
            ID_SHA512 => &SHA512,
            _ => return Err(wrong("is signed over a hash that is neither SHA-256 nor SHA-384 nor SHA-512")),
        };
        let kind = self.attribute(CONTENT_TYPE)?.and_then(|kind| kind.decode_as::<ObjectIdentifier>().ok());
        let of_content = self.attribute(MESSAGE_DIGEST)?.and_then(|hash| hash.decode_as::<&OctetStringRef>().ok());
        if kind != Some(TST_INFO)
            || of_content.map(OctetStringRef::as_bytes) != Some(digest::digest(hash, self.content).as_ref())
        {
            return Err(wrong("is not what was signed"));
        }
        let der = self.signers_certificate()?;
        let certificate =
            EndEntityCert::try_from(der).map_err(|error| wrong(&format!("has no certificate: {error}")))?;
        let tsa = time_stamping(der, &self.signer.id)?;
        let message = AnyRef::new(Tag::Set, self.signed.0).and_then(|set| set.to_der());
        let message = message.map_err(malformed("the signed attributes"))?;
        let signature = self.signer.signature.as_bytes();
        let candidates = verifications(self.signer.signature_algorithm.oid, hash);
        if candidates.is_empty() {
            return Err(wrong(
                "is signed in a way that is not known here (RSA PKCS #1, ECDSA P-256 and P-384, Ed25519 are)",
            ));
        }
        if !candidates.iter().any(|with| certificate.verify_signature(*with, &message, signature).is_ok()) {
            return Err(wrong("has a signature that does not verify"));
        }
        Ok(Stamp { time: self.time, accuracy, tsa })
    }

    /// Checks that the certificate of its signer comes from one of the roots, and was valid at the time of the token.
    /// Whether it was revoked is not asked.
    ///
    /// # Errors
    /// It is not so.
    pub fn certify(&self, roots: &Roots) -> Result<(), FormatError> {
        let uncertified = |error: webpki::Error| {
            FormatError::new(format!("none of the authorities that are believed certifies it: {error}"))
        };
        let anchors: Result<Vec<_>, _> = roots.0.iter().map(anchor_from_trusted_cert).collect();
        let certificate = EndEntityCert::try_from(self.signers_certificate()?).map_err(uncertified)?;
        // Of the signer itself all of this was checked more strictly; an issuer need not have any.
        let usage = KeyUsage::required_if_present(TIME_STAMPING.as_bytes());
        let time = UnixTime::since_unix_epoch(Duration::from_micros(self.time.unsigned_abs()));
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors.map_err(uncertified)?,
                &self.certificates,
                time,
                usage,
                None,
                None,
            )
            .map(drop)
            .map_err(uncertified)
    }

    /// The one value of a signed attribute; none if it is not there.
    fn attribute(&self, kind: ObjectIdentifier) -> Result<Option<AnyRef<'a>>, FormatError> {
        let read = || -> der::Result<_> {
            let mut found = Vec::new();
            for attribute in self.signed.read::<Attribute<'_>>()? {
                if attribute.kind == kind {
                    found.extend(attribute.values.read::<AnyRef<'_>>()?);
                }
            }
            Ok(found)
        };
        match read().map_err(malformed("the signed attributes"))?[..] {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(FormatError::new("a signed attribute of the token has several values")),
        }
    }

    /// The certificate that the signature names by its hash (`ESSCertID`, `ESSCertIDv2`), so that it cannot be exchanged for another
    /// one with the same key.
    fn signers_certificate(&self) -> Result<&CertificateDer<'a>, FormatError> {
        let bad = malformed("the signing certificate's name");
        let mut named = Vec::new();
        if let Some(value) = self.attribute(SIGNING_CERTIFICATE)? {
            let first = value.decode_as::<SigningCertificate<'_>>().map_err(&bad)?.certificates;
            named.extend(first.into_iter().next().map(|id| (&SHA1_FOR_LEGACY_USE_ONLY, id.hash)));
        }
        if let Some(value) = self.attribute(SIGNING_CERTIFICATE_V2)? {
            let first = value.decode_as::<SigningCertificateV2<'_>>().map_err(&bad)?.certificates;
            let Some(id) = first.into_iter().next() else {
                return Err(FormatError::new("the token names no certificate"));
            };
            let algorithm = match id.algorithm.map_or(ID_SHA256, |algorithm| algorithm.oid) {
                ID_SHA256 => &SHA256,
                ID_SHA384 => &SHA384,
                ID_SHA512 => &SHA512,
                _ => return Err(FormatError::new("the token names its certificate by a hash that is not known here")),
            };
            named.push((algorithm, id.hash));
        }
        let is_named = |certificate: &&CertificateDer<'_>| {
            !named.is_empty()
                && named
                    .iter()
                    .all(|(algorithm, hash)| digest::digest(algorithm, certificate).as_ref() == hash.as_bytes())
        };
        let certificate = self.certificates.iter().find(is_named);
        certificate.ok_or_else(|| FormatError::new("the certificate that signed the token is not in it"))
    }
}

/// The subject of a certificate that is for time stamps and nothing else (RFC 3161 §2.3), and that the signer names.
fn time_stamping(der: &[u8], signer: &SignerId<'_>) -> Result<String, FormatError> {
    let certificate = Certificate::from_der(der).map_err(malformed("the authority's certificate"))?;
    let certificate = certificate.tbs_certificate();
    let usage = certificate.get_extension::<ExtendedKeyUsage>().map_err(malformed("the certificate's usage"))?;
    if !usage.is_some_and(|(is_critical, usage)| is_critical && usage.0 == [TIME_STAMPING]) {
        return Err(FormatError::new(
            "the certificate is not one for time stamps (extended key usage timeStamping, critical and alone)",
        ));
    }
    // A signer that is named by its key's identifier is named by the certificate's hash as well.
    if let SignerId::Issued(signer) = signer
        && (&signer.issuer, &signer.serial) != (certificate.issuer(), certificate.serial_number())
    {
        return Err(FormatError::new("the token names another certificate than its signature"));
    }
    Ok(words(&certificate.subject().to_string()))
}

/// How a signature may be checked: its algorithm and the hash must go together.
fn verifications(algorithm: ObjectIdentifier, hash: &digest::Algorithm) -> &'static [&'static dyn Verification] {
    static RSA_256: &[&dyn Verification] = &[algorithms::RSA_PKCS1_2048_8192_SHA256];
    static RSA_384: &[&dyn Verification] = &[algorithms::RSA_PKCS1_2048_8192_SHA384];
    static RSA_512: &[&dyn Verification] = &[algorithms::RSA_PKCS1_2048_8192_SHA512];
    static EC_256: &[&dyn Verification] = &[algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256];
    static EC_384: &[&dyn Verification] = &[algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384];
    static ED: &[&dyn Verification] = &[algorithms::ED25519];
    match algorithm {
        RSA | RSA_SHA256 if *hash == SHA256 => RSA_256,
        RSA | RSA_SHA384 if *hash == SHA384 => RSA_384,
        RSA | RSA_SHA512 if *hash == SHA512 => RSA_512,
        ECDSA_SHA256 if *hash == SHA256 => EC_256,
        ECDSA_SHA384 if *hash == SHA384 => EC_384,
        // RFC 8419 §3: with SHA-512.
        ED25519 if *hash == SHA512 => ED,
        _ => &[],
    }
}

/// `YYYYMMDDhhmmss[.f…]Z`, in microseconds since 1970 (RFC 3161 §2.4.2).
fn generalized_time(time: AnyRef<'_>) -> Result<i64, FormatError> {
    let read = || {
        let text = str::from_utf8(time.value()).ok()?.strip_suffix('Z')?;
        let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if time.header().tag() != Tag::GeneralizedTime || text.len() != 14 || !are_digits(text) || !are_digits(fraction)
        {
            return None;
        }
        let two = |at: usize| text[at..at + 2].parse::<u8>().ok();
        let time = DateTime::new(text[..4].parse().ok()?, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?).ok()?;
        let micros: i64 = format!("{fraction:0<6}")[..6].parse().ok()?;
        i64::try_from(time.unix_duration().as_micros()).ok()?.checked_add(micros)
    };
    read().ok_or_else(|| FormatError::new("the token's time is none"))
}

/// Why there is no token.
fn refusal(status: &PkiStatusInfo<'_>) -> String {
    let text = status.text.as_ref().map(|lines| words(&lines.join("; "))).unwrap_or_default();
    let failure = match status.failure.as_ref().and_then(|bits| bits.bits().position(|is_set| is_set)) {
        Some(0) => "it does not know the hash",
        Some(2) => "it does not allow the request",
        Some(5) => "it cannot read the request",
        Some(14) => "it has no time source",
        Some(25) => "it has a failure of its own",
        _ => "it does not say why",
    };
    let why = if text.is_empty() { failure } else { &text };
    format!("the authority does not grant a token (status {}): {why}", status.status)
}

/// In microseconds; none if nothing can be so far off.
fn micros(accuracy: &Accuracy) -> Option<i64> {
    let seconds = i64::try_from(accuracy.seconds.unwrap_or(0)).ok()?;
    let fraction = i64::from(accuracy.millis.unwrap_or(0)) * 1000 + i64::from(accuracy.micros.unwrap_or(0));
    seconds.checked_mul(1_000_000)?.checked_add(fraction)
}

fn malformed(what: &str) -> impl Fn(der::Error) -> FormatError {
    move |error| FormatError::new(format!("{what} cannot be read: {error}"))
}

/// What somebody else wrote, fit to be printed.
fn words(text: &str) -> String {
    text.chars().take(MAX_WORDS).map(|char| if char.is_control() { ' ' } else { char }).collect()
}
