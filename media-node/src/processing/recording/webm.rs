//! Matroska files (RFC 9559), WebM where its codecs allow.
//!
//! A file can be played whenever its writer ends: everything is written in whole clusters behind a header that needs nothing of what
//! comes later. When a recording ends as it should, its length, an index for seeking and the true sizes are put in.

use super::{super::video::h264, format::TrackFormat};
use bytes::Bytes;
use mkv_element::{ClusterBlock, io::blocking_impl::WriteTo, prelude::Seek as SeekEntry, prelude::*};
use std::io::{self, SeekFrom, Write};

/// Longest cluster, in milliseconds: what a crash may cost. Blocks count from their cluster in 16 bits.
const CLUSTER_MS: u64 = 2_000;
/// Largest cluster, in bytes.
const CLUSTER_BYTES: usize = 1024 * 1024;
/// Room for the index of indices, which is written when all is known.
const SEEK_HEAD_BYTES: u64 = 96;
/// A duration in the header takes no more: 2 bytes of id, 1 of length, 4 or 8 of value.
const DURATION_BYTES: u64 = 11;
/// Segment: its id, and 8 bytes of size of which all bits are 1 while it is not known (RFC 8794, section 6.2).
const SEGMENT: [u8; 12] = [0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// A cluster that is being filled.
struct Open {
    at: u64,
    blocks: Vec<ClusterBlock>,
    bytes: usize,
    /// Track and time of the first picture that can be begun with.
    entry: Option<(u64, u64)>,
}

/// A file that is being written.
pub struct WebmFile<W> {
    file: W,
    formats: Vec<TrackFormat>,
    /// Where the contents of the segment begin.
    segment: u64,
    tracks_at: u64,
    position: u64,
    open: Option<Open>,
    /// Time, track and place of what can be sought.
    index: Vec<(u64, u64, u64)>,
    end: u64,
    /// Parameter sets came that aren't the header's: from then on they stay among the pictures.
    parameters_changed: bool,
}

fn wrong(error: mkv_element::Error) -> io::Error {
    match error {
        mkv_element::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

fn info(duration: Option<f64>) -> Info {
    Info {
        timestamp_scale: TimestampScale(1_000_000),
        duration: duration.map(mkv_element::prelude::Duration),
        muxing_app: MuxingApp("chroom-media-node".to_owned()),
        writing_app: WritingApp(concat!("chroom-media-node ", env!("CARGO_PKG_VERSION")).to_owned()),
        ..Info::default()
    }
}

/// Encodes an element.
fn encoded(element: &impl WriteTo) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    element.write_to(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// Nothing, of this many bytes in all: 2 to 128.
fn nothing(bytes: u64) -> io::Result<Vec<u8>> {
    encoded(&Void { size: bytes.saturating_sub(2) })
}

impl<W: Write + io::Seek> WebmFile<W> {
    /// Begins a file with these tracks, numbered from 1.
    pub fn new(mut file: W, formats: Vec<TrackFormat>) -> io::Result<Self> {
        let webm = formats.iter().all(TrackFormat::is_webm);
        let mut head = encoded(&Ebml {
            ebml_version: Some(EbmlVersion(1)),
            ebml_read_version: Some(EbmlReadVersion(1)),
            ebml_max_id_length: EbmlMaxIdLength(4),
            ebml_max_size_length: EbmlMaxSizeLength(8),
            doc_type: Some(DocType(if webm { "webm" } else { "matroska" }.to_owned())),
            doc_type_version: Some(DocTypeVersion(4)),
            doc_type_read_version: Some(DocTypeReadVersion(2)),
            ..Ebml::default()
        })?;
        head.extend_from_slice(&SEGMENT);
        let segment = head.len() as u64;
        head.extend(nothing(SEEK_HEAD_BYTES)?);
        head.extend(encoded(&info(None))?);
        head.extend(nothing(DURATION_BYTES)?);
        let tracks_at = head.len() as u64;
        let entries = formats.iter().zip(1..).map(|(format, number)| format.entry(number)).collect();
        head.extend(encoded(&Tracks { track_entry: entries, ..Tracks::default() })?);
        file.write_all(&head)?;
        let position = head.len() as u64;
        Ok(Self {
            file,
            formats,
            segment,
            tracks_at,
            position,
            open: None,
            index: Vec::new(),
            end: 0,
            parameters_changed: false,
        })
    }

    /// Bytes so far, what is not written yet included.
    pub fn bytes(&self) -> u64 {
        self.position + self.open.as_ref().map_or(0, |open| open.bytes as u64)
    }

    /// Time of the latest frame, in milliseconds.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds a frame of a track, at this time in milliseconds since the file's beginning. H.264 comes in Annex B format.
    pub fn frame(&mut self, track: u64, at: u64, keyframe: bool, data: &[u8]) -> io::Result<()> {
        let format = usize::try_from(track).ok().and_then(|track| self.formats.get(track.checked_sub(1)?));
        let Some(format) = format else { return Err(io::ErrorKind::InvalidInput.into()) };
        let video = format.is_video();
        let data = match format {
            TrackFormat::H264 { sps, pps, .. } => {
                let (new_sps, new_pps) = h264::parameters(data);
                let same = new_sps.is_none_or(|new| new == sps) && new_pps.is_none_or(|new| new == pps);
                self.parameters_changed |= !same;
                lengths(data, self.parameters_changed)
            }
            _ => data.to_vec(),
        };
        let is_entry = video && keyframe || !video && self.formats.iter().all(|format| !format.is_video());
        let fits = self.open.as_ref().is_some_and(|open| {
            let passed = at.checked_sub(open.at);
            passed.is_some_and(|passed| passed < CLUSTER_MS && !(video && keyframe && passed > CLUSTER_MS / 4))
                && open.bytes + data.len() <= CLUSTER_BYTES
        });
        if !fits {
            self.flush()?;
        }
        let open = self.open.get_or_insert(Open { at, blocks: Vec::new(), bytes: 0, entry: None });
        let offset = i16::try_from(at.saturating_sub(open.at)).unwrap_or(i16::MAX);
        let mut block = Vec::with_capacity(data.len() + 4);
        // A track's number below 127 is one byte.
        block.push(0x80 | u8::try_from(track).unwrap_or(0));
        block.extend_from_slice(&offset.to_be_bytes());
        block.push(if keyframe { 0x80 } else { 0 });
        block.extend_from_slice(&data);
        open.bytes += block.len() + 4;
        open.blocks.push(SimpleBlock(block.into()).into());
        if is_entry {
            open.entry.get_or_insert((track, at));
        }
        self.end = self.end.max(at);
        Ok(())
    }

    /// Writes what waits, if it has waited for long: `at` is the present time in milliseconds since the beginning.
    pub fn tick(&mut self, at: u64) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| at.saturating_sub(open.at) >= CLUSTER_MS) {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes what waits, as one cluster.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let cluster = Cluster { timestamp: Timestamp(open.at), blocks: open.blocks, ..Cluster::default() };
        let bytes = encoded(&cluster)?;
        self.file.write_all(&bytes)?;
        if let Some((track, at)) = open.entry {
            self.index.push((at, track, self.position - self.segment));
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes the rest, the index and the sizes, and gives the file back.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        let cues_at = self.position;
        let points = self.index.iter().map(|(at, track, position)| CuePoint {
            cue_time: CueTime(*at),
            cue_track_positions: vec![CueTrackPositions {
                cue_track: CueTrack(*track),
                cue_cluster_position: CueClusterPosition(*position),
                ..CueTrackPositions::default()
            }],
            ..CuePoint::default()
        });
        let cues = Cues { cue_point: points.collect(), ..Cues::default() };
        let has_cues = !cues.cue_point.is_empty();
        if has_cues {
            let bytes = encoded(&cues)?;
            self.file.write_all(&bytes)?;
            self.position += bytes.len() as u64;
        }
        let seek = |id: [u8; 4], at: u64| SeekEntry {
            seek_id: SeekId(Bytes::copy_from_slice(&id)),
            seek_position: SeekPosition(at - self.segment),
            crc32: None,
            void: None,
        };
        // Right before the tracks; what is left of the room goes between.
        let info = encoded(&info(Some(self.end as f64)))?;
        let info_at = self.tracks_at - info.len() as u64;
        let mut entries = vec![seek([0x15, 0x49, 0xA9, 0x66], info_at), seek([0x16, 0x54, 0xAE, 0x6B], self.tracks_at)];
        if has_cues {
            entries.push(seek([0x1C, 0x53, 0xBB, 0x6B], cues_at));
        }
        let mut head = encoded(&SeekHead { seek: entries, ..SeekHead::default() })?;
        head.extend(nothing((info_at - self.segment).saturating_sub(head.len() as u64))?);
        head.extend(info);
        let size = (self.position - self.segment) | 1 << 56;
        self.file.seek(SeekFrom::Start(self.segment - 8))?;
        self.file.write_all(&size.to_be_bytes())?;
        self.file.write_all(&head)?;
        self.file.seek(SeekFrom::End(0))?;
        self.file.flush()?;
        Ok(self.file)
    }
}

/// Units with their lengths before them, as in MP4. Parameter sets are in the header, until they change with the pictures' size: a new
/// file for each size that a publisher's network allows would be of no use to anybody, and decoders take them here, too.
fn lengths(frame: &[u8], with_parameters: bool) -> Vec<u8> {
    let is_parameters = |unit: &&[u8]| matches!(unit.first().map(|byte| byte & 0x1F), Some(7 | 8));
    let units = h264::units(frame).into_iter().filter(|unit| with_parameters || !is_parameters(unit));
    units.fold(Vec::with_capacity(frame.len()), |mut data, unit| {
        data.extend_from_slice(&u32::try_from(unit.len()).unwrap_or(0).to_be_bytes());
        data.extend_from_slice(unit);
        data
    })
}

#[cfg(test)]
pub(crate) mod tests;
