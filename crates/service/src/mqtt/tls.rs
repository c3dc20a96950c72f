//! TLS for `mqtts`: rustls with ring, the machine's own certificate authorities or the user's.

use super::error::BrokerError;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The TLS settings: whom the broker must be able to prove itself to.
pub(super) fn client_config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, BrokerError> {
    let roots = ca.map_or_else(of_the_machine, from_file)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

fn of_the_machine() -> Result<RootCertStore, BrokerError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(BrokerError::NoAuthorities) } else { Ok(roots) }
}

fn from_file(path: &Path) -> Result<RootCertStore, BrokerError> {
    let pem =
        std::fs::read(path).map_err(|cause| BrokerError::File { option: "--mqtt-ca", path: path.to_owned(), cause })?;
    let wrong = |cause: String| BrokerError::Certificates { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("none found".to_owned())) } else { Ok(roots) }
}

/// Whether a handshake failed because of the broker's certificate.
pub(super) fn is_about_the_certificate(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}
