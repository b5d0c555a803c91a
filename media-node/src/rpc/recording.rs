//! Recordings and thumbnails, as orchestrators ask for them.

use super::{Answer, request, route, shard};
use crate::{
    processing::{
        recording::{manifest::FileEntry, room::RecordingLimits},
        studio::{RecordingKind, Studio, StudioError},
    },
    sfu::id::RoomId,
};
use chroom_rpc::v1;
use std::time::Duration;
use tonic::{Response, Status};

/// Height of a thumbnail, if none is given.
const THUMBNAIL: u32 = 180;
/// Tallest thumbnail.
const MAX_THUMBNAIL: u32 = 720;

pub(super) fn refused(error: StudioError) -> Status {
    let message = error.to_string();
    match error {
        StudioError::Off | StudioError::NoFolder => Status::unimplemented(message),
        StudioError::BadId(_) => Status::invalid_argument(message),
        StudioError::Taken(_) => Status::already_exists(message),
        StudioError::Unknown(_) | StudioError::NoPicture => Status::not_found(message),
        StudioError::TooMany | StudioError::Budget(_) | StudioError::Worker(_) => Status::resource_exhausted(message),
        StudioError::Shard(error) => shard(error),
        StudioError::Route(error) => route(&error),
        StudioError::Storage(_) => Status::internal(message),
        StudioError::Late => Status::unavailable(message),
    }
}

/// 0 stands for no limit but the node's.
fn limit(given: u64) -> u64 {
    if given == 0 { u64::MAX } else { given }
}

pub(super) async fn start(
    studio: &Studio,
    room: &RoomId,
    request: v1::StartRecordingRequest,
) -> Answer<v1::StartRecordingResponse> {
    let kind = match v1::RecordingKind::try_from(request.kind) {
        Ok(v1::RecordingKind::Tracks) => RecordingKind::Tracks,
        Ok(v1::RecordingKind::Composite) => RecordingKind::Composite,
        Err(_) => return Err(Status::invalid_argument(format!("{} is not a kind of recording", request.kind))),
    };
    let id = request.recording.parse().map_err(refused)?;
    let limits = RecordingLimits {
        duration: Duration::from_secs(limit(request.max_seconds.into())),
        bytes: limit(request.max_bytes),
    };
    let folder = studio.record(room, &id, kind, limits).await.map_err(refused)?;
    Ok(Response::new(v1::StartRecordingResponse { folder: folder.display().to_string() }))
}

pub(super) async fn stop(studio: &Studio, room: &RoomId, recording: &str) -> Answer<v1::StopRecordingResponse> {
    let id = recording.parse().map_err(refused)?;
    let (reason, manifest) = studio.stop_recording(room, &id).await.map_err(refused)?;
    let files = manifest.files.into_iter().map(file).collect();
    Ok(Response::new(v1::StopRecordingResponse { ended: reason.to_string(), files }))
}

fn file(entry: FileEntry) -> v1::RecordedFile {
    let FileEntry { name, participant, track, source, codecs, offset_ms, duration_ms, bytes } = entry;
    v1::RecordedFile { name, participant, track, source, codecs, offset_ms, duration_ms, bytes }
}

pub(super) async fn thumbnail(
    studio: &Studio,
    room: &RoomId,
    request: v1::ThumbnailRequest,
) -> Answer<v1::ThumbnailResponse> {
    let track = request::track(&request.track)?;
    let height = if request.max_height == 0 { THUMBNAIL } else { request.max_height.clamp(16, MAX_THUMBNAIL) };
    let jpeg = studio.thumbnail(room, track, height).await.map_err(refused)?;
    Ok(Response::new(v1::ThumbnailResponse { jpeg }))
}
