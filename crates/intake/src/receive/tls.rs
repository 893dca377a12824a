//! TLS for listeners: rustls with `ring`, certificates from PEM files.

use std::{path::PathBuf, sync::Arc};

use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::TlsAcceptor;

use super::ReceiveError;

/// Where a listener's certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate chain, PEM.
    pub certificates: PathBuf,
    /// Its private key, PEM (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
    /// When given, clients must show a certificate that one of these authorities (PEM) signed.
    pub client_authorities: Option<PathBuf>,
}

/// Reads the files and builds the listener's side of TLS 1.2 and 1.3.
///
/// # Errors
/// Names the file that cannot be used and why.
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ReceiveError> {
    let unusable = |path: &PathBuf, reason: String| ReceiveError::File { path: path.clone(), reason };
    let certificates = certificates(&files.certificates)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unusable(&files.key, format!("holds no usable private key in PEM form: {error}")))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ReceiveError::Tls(error.to_string()))?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in self::certificates(path)? {
                roots
                    .add(authority)
                    .map_err(|error| unusable(path, format!("not an authority's certificate: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| unusable(path, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| unusable(&files.key, format!("does not fit the certificate: {error}")))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, ReceiveError> {
    let unusable = |reason: String| ReceiveError::File { path: path.clone(), reason };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unusable(format!("cannot be read as PEM certificates: {error}")))?;
    match certificates.is_empty() {
        true => Err(unusable("holds no certificate in PEM form".to_owned())),
        false => Ok(certificates),
    }
}
