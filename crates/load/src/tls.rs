//! TLS for https targets: rustls with ring, the machine's own certificate authorities or the user's.

use crate::TrustError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whom an https target must be able to prove itself to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Trust {
    /// The certificate authorities of this machine.
    System,
    /// Those in a PEM file.
    File(PathBuf),
    /// Those in such a file of another machine: its path and its text.
    Copy(PathBuf, Vec<u8>),
    /// Anybody: for test servers with certificates of their own making.
    Anybody,
}

/// The TLS settings of one load.
/// Fails when there are no certificate authorities, or their file cannot be read.
pub(crate) fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let config = match trust {
        Trust::Anybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Gullible(provider))).with_no_client_auth()
        }
        Trust::File(file) => builder.with_root_certificates(from_pem(file, &read(file)?)?).with_no_client_auth(),
        Trust::Copy(file, pem) => builder.with_root_certificates(from_pem(file, pem)?).with_no_client_auth(),
        Trust::System => {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(TrustError::NoAuthorities);
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(Arc::new(config))
}

impl Trust {
    /// Whether a connection could be made with it.
    ///
    /// # Errors
    /// When there are no certificate authorities, or their file cannot be read.
    pub fn check(&self) -> Result<(), TrustError> {
        client_config(self).map(|_| ())
    }

    /// The same, with what lies in a file of this machine in it.
    pub(crate) fn portable(&self) -> Result<Self, TrustError> {
        match self {
            Self::File(file) => Ok(Self::Copy(file.clone(), read(file)?)),
            other => Ok(other.clone()),
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: file.to_owned(), source: pem::Error::Io(source) };
    std::fs::read(file).map_err(unreadable)
}

fn from_pem(file: &Path, pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: file.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let unusable = |source| TrustError::Unusable { path: file.to_owned(), source };
        roots.add(certificate.map_err(unreadable)?).map_err(unusable)?;
    }
    if roots.is_empty() { Err(TrustError::Empty(file.to_owned())) } else { Ok(roots) }
}

/// Believes every certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct Gullible(Arc<CryptoProvider>);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
