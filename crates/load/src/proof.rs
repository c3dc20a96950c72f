//! Proofs of possession (RFC 9449): a JWT that a key of the user's signs for one request, with ES256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

/// A user's key.
pub(crate) struct ProofKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    /// The public key as a JWK.
    jwk: serde_json::Value,
}

/// What a proof is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claims<'a> {
    pub(crate) method: &'a str,
    /// The whole address; its query and fragment are left out.
    pub(crate) url: &'a str,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) issued_at: u64,
    pub(crate) nonce: Option<&'a str>,
    /// The access token that goes with the request.
    pub(crate) token: Option<&'a str>,
}

impl ProofKey {
    /// A new key; nothing where the system has no random numbers.
    pub(crate) fn new() -> Option<Self> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).ok()?;
        // An uncompressed point: 4, then both coordinates.
        let (x, y) = pair.public_key().as_ref().get(1..65)?.split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)});
        Some(Self { pair, random, jwk })
    }

    /// A proof with an id of its own.
    pub(crate) fn proof(&self, claims: &Claims<'_>) -> Option<String> {
        let mut id = [0; 16];
        self.random.fill(&mut id).ok()?;
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk});
        let address = claims.url.split(['?', '#']).next().unwrap_or_default();
        let mut payload = json!({"jti": encode(&id), "htm": claims.method, "htu": address, "iat": claims.issued_at});
        if let Some(nonce) = claims.nonce {
            payload["nonce"] = nonce.into();
        }
        if let Some(token) = claims.token {
            payload["ath"] = encode(digest(&SHA256, token.as_bytes()).as_ref()).into();
        }
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.to_string().as_bytes()));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", encode(signature.as_ref())))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};

    fn decoded(part: &str) -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    /// What a proof claims.
    pub(crate) fn payload(proof: &str) -> serde_json::Value {
        decoded(proof.split('.').nth(1).unwrap())
    }

    #[test]
    fn others_verify_a_proof() {
        let claims = Claims {
            method: "POST",
            url: "https://server.example.com/token?x=1#y",
            issued_at: 1_562_262_616,
            nonce: Some("n-1"),
            // The token of RFC 9449, section 7.1, and its hash.
            token: Some("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        };
        let proof = ProofKey::new().unwrap().proof(&claims).unwrap();
        let parts: Vec<&str> = proof.split('.').collect();
        let (header, payload) = (decoded(parts[0]), decoded(parts[1]));
        assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
        assert_eq!((&payload["htm"], &payload["htu"]), (&json!("POST"), &json!("https://server.example.com/token")));
        assert_eq!((&payload["iat"], &payload["nonce"]), (&json!(1_562_262_616), &json!("n-1")));
        assert_eq!(payload["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap()).unwrap();
        let point = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
        let key = VerifyingKey::from_sec1_bytes(&point).unwrap();
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
        key.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).unwrap();
    }
}
