//! The server's certificate: given, or made by itself.

use std::{
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use vedette_event::Time;

/// Browsers and Apple's systems refuse certificates that live longer than 825 days.
const LIVES_DAYS: i64 = 820;
/// Made anew when it would expire within this time.
const RENEW_DAYS: i64 = 30;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds no certificate or key.
    #[error("{path}: {message}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is missing.
        message: String,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// Certificate and key do not work together.
    #[error("certificate and key: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    fingerprint: String,
    path: PathBuf,
}

impl Certificate {
    /// A certificate chain and key from PEM files.
    ///
    /// # Errors
    /// If they cannot be read or hold something else.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let pem = |path: &Path, message: String| CertificateError::Pem { path: path.to_owned(), message };
        let chain_pem = read(chain)?;
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|error| pem(chain, error.to_string()))?;
        let first = certificates.first().ok_or_else(|| pem(chain, "holds no certificate".to_owned()))?;
        let fingerprint = fingerprint(first);
        let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| pem(key, error.to_string()))?;
        Ok(Certificate { chain: certificates, key, fingerprint, path: chain.to_owned() })
    }

    /// For [`tls`](super::tls).
    ///
    /// # Errors
    /// If certificate and key do not fit.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// SHA-256 of the certificate, as browsers show it: `AB:CD:..`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The file with the certificate, for clients that pin it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The certificate in `dir` (`cert.pem`, `key.pem`), made and signed by itself for localhost, 127.0.0.1, ::1, this
    /// host's name and `names`. Kept as long as it fits the names and does not expire soon.
    ///
    /// # Errors
    /// If it cannot be made, kept or read.
    pub fn own(dir: &Path, names: &[String], now: Time) -> Result<Self, CertificateError> {
        let (chain, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        for name in std::iter::once(&host).chain(names) {
            if !name.is_empty() && !all.contains(name) {
                all.push(name.clone());
            }
        }
        let kept = std::fs::read_to_string(&chain).is_ok_and(|pem| fits(&pem, &all, now));
        if !(kept && key.exists()) {
            make(dir, &chain, &key, &all, now)?;
        }
        Self::load(&chain, &key)
    }
}

/// Through the epoch, because the date type is not ours to name.
macro_rules! date {
    ($time:expr) => {
        rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs($time.secs().max(0).unsigned_abs())
    };
}

/// What the lines before the PEM block say, so that nobody needs to decode the certificate.
const NAMES: &str = "names: ";
const EXPIRES: &str = "expires: ";

fn fits(pem: &str, names: &[String], now: Time) -> bool {
    let line = |label: &str| pem.lines().find_map(|line| line.strip_prefix(label));
    let expires = line(EXPIRES).and_then(|text| text.parse::<Time>().ok());
    let lives = expires.is_some_and(|expires| expires > now.plus_micros(RENEW_DAYS * 86_400_000_000));
    lives && line(NAMES) == Some(names.join(" ").as_str())
}

fn make(dir: &Path, chain: &Path, key: &Path, names: &[String], now: Time) -> Result<(), CertificateError> {
    let expires = now.plus_micros(LIVES_DAYS * 86_400_000_000);
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "Vedette");
    params.not_before = date!(now.plus_micros(-86_400_000_000));
    params.not_after = date!(expires);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let pair = KeyPair::generate()?;
    let certificate = params.self_signed(&pair)?;
    std::fs::create_dir_all(dir).map_err(|source| CertificateError::File { path: dir.to_owned(), source })?;
    let text = format!("{NAMES}{}\n{EXPIRES}{expires}\n{}", names.join(" "), certificate.pem());
    // The key first: a certificate without its key would be kept.
    write_private(key, pair.serialize_pem().as_bytes())?;
    write_private(chain, text.as_bytes())
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CertificateError> {
    let fresh = path.with_extension("new");
    let write = || {
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let sha256 = suite.tls13().expect("the suite's name says TLS 1.3").common.hash_provider;
    let digest = sha256.hash(certificate);
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
