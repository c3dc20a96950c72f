//! The body of a request: its size, its compression, its encoding.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use std::io::Read;

/// The largest body, and the largest that one may be when it has been decompressed, bytes: what collectors take.
const LARGEST: usize = 20 << 20;
const LARGEST_DECOMPRESSED: usize = 64 << 20;

/// Why a request is not taken.
pub(super) type Refusal = (StatusCode, String);

/// How a request, and its answer, are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// What the header says.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Content-Type {kind:?}: send application/x-protobuf or application/json"),
            )),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    pub(super) fn read(self, body: &[u8]) -> Result<ExportTraceServiceRequest, Refusal> {
        let read = match self {
            Self::Protobuf => ExportTraceServiceRequest::decode(body).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        };
        read.map_err(|error| (StatusCode::BAD_REQUEST, format!("no ExportTraceServiceRequest: {error}")))
    }

    pub(super) fn write(self, response: &ExportTraceServiceResponse) -> Vec<u8> {
        match self {
            Self::Protobuf => response.encode_to_vec(),
            // A struct of a number and a text always becomes JSON.
            Self::Json => serde_json::to_vec(response).unwrap_or_default(),
        }
    }
}

/// The body as it came.
pub(super) async fn received(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} MiB", LARGEST >> 20)))
        }
        Err(error) => Err((StatusCode::BAD_REQUEST, format!("the body did not arrive whole: {error}"))),
    }
}

/// The same without compression.
pub(super) fn decompressed(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Ok(body),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            let read = GzDecoder::new(&body[..]).take(LARGEST_DECOMPRESSED as u64 + 1).read_to_end(&mut plain);
            match read {
                Ok(_) if plain.len() > LARGEST_DECOMPRESSED => Err((
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the body is larger than {} MiB", LARGEST_DECOMPRESSED >> 20),
                )),
                Ok(_) => Ok(plain.into()),
                Err(error) => Err((StatusCode::BAD_REQUEST, format!("the body is no gzip: {error}"))),
            }
        }
        Some(_) => Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: send gzip, or none".to_owned())),
    }
}
