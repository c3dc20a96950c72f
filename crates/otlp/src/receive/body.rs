//! The body of a request: its size, its compression, its encoding.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long one may wait for its turn, and a part of its body for room.
pub(super) const TURN_WITHIN: Duration = Duration::from_secs(2);

/// The largest body, and the largest that one may be when it has been decompressed, bytes: what collectors take.
pub(super) const LARGEST: usize = 20 << 20;
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

/// A body as it came, and the room that it takes, byte for byte.
pub(super) struct Held {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// Reads a body for as long as there is room: who sends slowly takes no more of it than he has sent.
pub(super) async fn received(body: Body, room: &Arc<Semaphore>) -> Result<Held, Refusal> {
    let mut body = Limited::new(body, LARGEST);
    let (mut bytes, mut held) = (Vec::new(), taken(room, 0).await?);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let Ok(part) = frame.into_data() else { continue };
                held.merge(taken(room, part.len()).await?);
                bytes.extend_from_slice(&part);
            }
            Err(error) if error.is::<LengthLimitError>() => {
                return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} MiB", LARGEST >> 20)));
            }
            Err(error) => return Err((StatusCode::BAD_REQUEST, format!("the body did not arrive whole: {error}"))),
        }
    }
    Ok(Held { bytes, _room: held })
}

async fn taken(room: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    // A frame is part of a body that is not too large.
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    match timeout(TURN_WITHIN, room.clone().acquire_many_owned(bytes)).await {
        Ok(Ok(taken)) => Ok(taken),
        // Closed is what nobody does.
        _ => Err(busy()),
    }
}

pub(super) fn busy() -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time: send it again".to_owned())
}

/// The same without compression.
pub(super) fn decompressed<'a>(headers: &HeaderMap, body: &'a Held) -> Result<Cow<'a, [u8]>, Refusal> {
    let body = &body.bytes[..];
    match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Ok(body.into()),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            let read = GzDecoder::new(body).take(LARGEST_DECOMPRESSED as u64 + 1).read_to_end(&mut plain);
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
