//! Certificates for servers that speak TLS.

use std::path::PathBuf;

/// The files of a server's certificate, in PEM form.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority that has signed it: what clients are to trust.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

#[cfg(feature = "certificates")]
impl Certificates {
    /// Makes an authority, and a certificate of a server at localhost and 127.0.0.1, in a sandbox.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn make(sandbox: &crate::Sandbox) -> Result<Self, crate::StackError> {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let folder = tempfile::Builder::new().prefix("tls-").tempdir_in(sandbox.path()).map(tempfile::TempDir::keep);
        let folder = folder.map_err(|source| crate::StackError::Folder { path: sandbox.path().to_owned(), source })?;
        let unmade = |error: rcgen::Error| crate::StackError::Folder {
            path: folder.clone(),
            source: std::io::Error::other(error),
        };
        let mut params = CertificateParams::new(Vec::new()).map_err(unmade)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name would be taken for the same.
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        params.distinguished_name.push(DnType::CommonName, format!("Stampede test authority {name}"));
        let authority_key = KeyPair::generate().map_err(unmade)?;
        let authority = params.self_signed(&authority_key).map_err(unmade)?;
        let issuer = Issuer::new(params, authority_key);
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(unmade)?;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate().map_err(unmade)?;
        let certificate = params.signed_by(&key, &issuer).map_err(unmade)?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            match std::fs::write(&path, text) {
                Ok(()) => Ok(path),
                Err(source) => Err(crate::StackError::Folder { path, source }),
            }
        };
        Ok(Self {
            authority: write("authority.pem", authority.pem())?,
            certificate: write("certificate.pem", certificate.pem())?,
            key: write("key.pem", key.serialize_pem())?,
        })
    }
}
