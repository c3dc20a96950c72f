//! What to do about a server's certificate that is not trusted, as they are found in the field.

use rustls::{CertificateError, Error};

/// What is wrong with the certificate and how to mend it; none where the fault is no certificate's.
#[must_use]
pub fn certificate_remedy(error: &Error) -> Option<&'static str> {
    let Error::InvalidCertificate(fault) = error else { return None };
    Some(match fault {
        CertificateError::UnknownIssuer => {
            "nobody who is trusted has signed it: give the certificate of its authority, or of the server itself where it is self-signed; \
             a server must also send the intermediate certificates of its chain"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired: renew it, or set the clock of this machine"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: set the clock of this machine or of the one that made it"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name: use the name that it has, or make one with this name or address as subjectAltName"
        }
        CertificateError::BadEncoding => "it cannot be read: make a new one of version 3",
        CertificateError::Other(other) => return of_webpki(&other.to_string()),
        _ => return None,
    })
}

/// The faults that webpki tells of by its own names.
fn of_webpki(name: &str) -> Option<&'static str> {
    if name.contains("UnsupportedCertVersion") {
        Some("it has version 1: make one of version 3, with a subjectAltName (openssl req -x509 -addext)")
    } else if name.contains("CaUsedAsEndEntity") {
        Some(
            "an authority's certificate is used as a server's: make one with basicConstraints CA:FALSE, signed by it or by itself",
        )
    } else {
        None
    }
}
