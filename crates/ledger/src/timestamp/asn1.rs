//! The structures of requests and replies, named as the RFCs name them.

use der::{
    Decode, DecodeValue, EncodeValue, FixedTag, Header, Length, Reader, Sequence, SliceReader, Tag, Writer,
    asn1::{AnyRef, BitStringRef, IntRef, ObjectIdentifier, OctetStringRef},
};
use rustls_pki_types::CertificateDer;
use x509_cert::{ext::Extensions, name::Name, serial_number::SerialNumber, spki::AlgorithmIdentifierRef};

/// The contents of a SET or a SEQUENCE OF, as they came. The sets of `der` sort what they read, which takes long for hostile ones
/// and does not give back what was signed.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn read<T: Decode<'a, Error = der::Error>>(self) -> der::Result<Vec<T>> {
        let mut reader = SliceReader::new(self.0)?;
        let mut elements = Vec::new();
        while !reader.is_finished() {
            elements.push(reader.decode()?);
        }
        Ok(elements)
    }

    /// The certificates; other things that may stand among them are left alone.
    pub(super) fn certificates(self) -> der::Result<Vec<CertificateDer<'a>>> {
        let mut reader = SliceReader::new(self.0)?;
        let mut certificates = Vec::new();
        while !reader.is_finished() {
            let is_certificate = Tag::peek(&reader)? == Tag::Sequence;
            let bytes = reader.tlv_bytes()?;
            if is_certificate {
                certificates.push(CertificateDer::from(bytes));
            }
        }
        Ok(certificates)
    }
}

impl FixedTag for Elements<'_> {
    const TAG: Tag = Tag::Set;
}

impl<'a> DecodeValue<'a> for Elements<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length()).map(Elements)
    }
}

impl EncodeValue for Elements<'_> {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// RFC 3161 §2.4.1.
#[derive(Sequence)]
pub(super) struct TimeStampReq<'a> {
    pub(super) version: u8,
    pub(super) message_imprint: MessageImprint<'a>,
    pub(super) nonce: u64,
    pub(super) cert_req: bool,
}

#[derive(Sequence)]
pub(super) struct MessageImprint<'a> {
    pub(super) hash_algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) hashed_message: &'a OctetStringRef,
}

/// RFC 3161 §2.4.2.
#[derive(Sequence)]
pub(super) struct TimeStampResp<'a> {
    pub(super) status: PkiStatusInfo<'a>,
    #[asn1(optional = "true")]
    pub(super) token: Option<ContentInfo<'a>>,
}

#[derive(Sequence)]
pub(super) struct PkiStatusInfo<'a> {
    pub(super) status: u8,
    #[asn1(optional = "true")]
    pub(super) text: Option<Vec<String>>,
    #[asn1(optional = "true")]
    pub(super) failure: Option<BitStringRef<'a>>,
}

/// RFC 5652 §3.
#[derive(Sequence)]
pub(super) struct ContentInfo<'a> {
    pub(super) content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) content: AnyRef<'a>,
}

/// RFC 5652 §5.1.
#[derive(Sequence)]
pub(super) struct SignedData<'a> {
    pub(super) version: u8,
    pub(super) digest_algorithms: Elements<'a>,
    pub(super) content: EncapsulatedContent<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) certificates: Option<Elements<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) revocations: Option<Elements<'a>>,
    pub(super) signers: Elements<'a>,
}

#[derive(Sequence)]
pub(super) struct EncapsulatedContent<'a> {
    pub(super) kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) content: Option<&'a OctetStringRef>,
}

/// RFC 5652 §5.3.
#[derive(Sequence)]
pub(super) struct SignerInfo<'a> {
    pub(super) version: u8,
    pub(super) id: SignerId<'a>,
    pub(super) digest_algorithm: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) signed_attributes: Option<Elements<'a>>,
    pub(super) signature_algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) signature: &'a OctetStringRef,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) unsigned_attributes: Option<Elements<'a>>,
}

#[derive(der::Choice)]
pub(super) enum SignerId<'a> {
    Issued(IssuerAndSerial),
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "false")]
    Key(&'a OctetStringRef),
}

#[derive(Sequence)]
pub(super) struct IssuerAndSerial {
    pub(super) issuer: Name,
    pub(super) serial: SerialNumber,
}

#[derive(Sequence)]
pub(super) struct Attribute<'a> {
    pub(super) kind: ObjectIdentifier,
    pub(super) values: Elements<'a>,
}

/// RFC 3161 §2.4.2.
#[derive(Sequence)]
pub(super) struct TstInfo<'a> {
    pub(super) version: u8,
    pub(super) policy: ObjectIdentifier,
    pub(super) message_imprint: MessageImprint<'a>,
    pub(super) serial: IntRef<'a>,
    /// `der` knows no fractions of seconds.
    pub(super) time: AnyRef<'a>,
    #[asn1(optional = "true")]
    pub(super) accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    pub(super) is_ordered: bool,
    #[asn1(optional = "true")]
    pub(super) nonce: Option<IntRef<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) tsa: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) extensions: Option<Extensions>,
}

#[derive(Sequence)]
pub(super) struct Accuracy {
    #[asn1(optional = "true")]
    pub(super) seconds: Option<u64>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) micros: Option<u16>,
}

/// RFC 5035 §3 and §4; the first one is the signer's.
#[derive(Sequence)]
pub(super) struct SigningCertificate<'a> {
    pub(super) certificates: Vec<EssCertId<'a>>,
    #[asn1(optional = "true")]
    pub(super) policies: Option<Vec<AnyRef<'a>>>,
}

#[derive(Sequence)]
pub(super) struct EssCertId<'a> {
    pub(super) hash: &'a OctetStringRef,
    #[asn1(optional = "true")]
    pub(super) issuer: Option<Vec<AnyRef<'a>>>,
}

#[derive(Sequence)]
pub(super) struct SigningCertificateV2<'a> {
    pub(super) certificates: Vec<EssCertIdV2<'a>>,
    #[asn1(optional = "true")]
    pub(super) policies: Option<Vec<AnyRef<'a>>>,
}

#[derive(Sequence)]
pub(super) struct EssCertIdV2<'a> {
    #[asn1(optional = "true")]
    pub(super) algorithm: Option<AlgorithmIdentifierRef<'a>>,
    pub(super) hash: &'a OctetStringRef,
    #[asn1(optional = "true")]
    pub(super) issuer: Option<Vec<AnyRef<'a>>>,
}
