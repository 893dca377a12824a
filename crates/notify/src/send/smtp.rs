//! One mail over a connection of its own.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{Answer, Failure};
use crate::config::SmtpTls;

/// Where mail goes.
pub(super) struct Server<'a> {
    pub host: &'a str,
    pub port: u16,
    pub tls: SmtpTls,
    pub ca: Option<&'a [u8]>,
    pub login: Option<&'a (String, String)>,
}

/// Sends a mail. A 4xx reply may pass, a 5xx reply will not.
pub(super) async fn send(server: Server<'_>, mail: Message, patience: Duration) -> Result<Answer, Failure> {
    let parameters = || {
        let mut parameters = TlsParameters::builder(server.host.to_owned());
        if let Some(pem) = server.ca {
            for certificate in certificates(pem)? {
                parameters = parameters.add_root_certificate(certificate);
            }
        }
        parameters.build().map_err(|error| Failure::passing(format!("TLS: {error}")))
    };
    let tls = match server.tls {
        SmtpTls::None => Tls::None,
        SmtpTls::Starttls => Tls::Required(parameters()?),
        SmtpTls::Tls => Tls::Wrapper(parameters()?),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host)
        .port(server.port)
        .timeout(Some(patience))
        .tls(tls);
    if let Some((user, password)) = server.login {
        transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let sent = transport.build::<Tokio1Executor>().send(mail).await;
    match sent {
        Ok(response) => Ok(Answer {
            status: Some(u16::from(response.code())),
            text: response.message().collect::<Vec<_>>().join("\n"),
        }),
        Err(error) => Err(Failure {
            what: error.to_string(),
            answer: error.status().map(|code| Answer { status: Some(u16::from(code)), text: error.to_string() }),
            // Wrong credentials, a refused recipient, an option that the server lacks.
            is_passing: !error.is_permanent() && !error.is_client(),
            after: None,
        }),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, Failure> {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    CertificateDer::pem_slice_iter(pem)
        .map(|certificate| {
            let der = certificate.map_err(|error| Failure::lasting(format!("ca: {error}")))?;
            Certificate::from_der(der.to_vec()).map_err(|error| Failure::lasting(format!("ca: {error}")))
        })
        .collect()
}
