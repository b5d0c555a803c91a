use super::*;
use mkv_element::{FrameData, view::MatroskaView};
use std::io::Cursor;

/// A frame as it stands in a file: track, time, key frame, bytes.
pub(crate) type Stored = (u64, i64, bool, Vec<u8>);

/// Reads a file as a player would, whole clusters as far as they go.
pub(crate) fn frames(file: &[u8]) -> Vec<Stored> {
    const CLUSTER: [u8; 4] = [0x1F, 0x43, 0xB6, 0x75];
    let mut frames = Vec::new();
    let mut rest = file;
    while let Some(at) = rest.windows(4).position(|bytes| bytes == CLUSTER) {
        let mut cluster = &rest[at..];
        match mkv_element::io::blocking_impl::ReadFrom::read_from(&mut cluster) {
            Ok(read) => {
                let read: Cluster = read;
                for frame in read.frames().map(Result::unwrap) {
                    let FrameData::Single(data) = frame.data else { panic!("laced") };
                    frames.push((frame.track_number, frame.timestamp, frame.is_keyframe, data.to_vec()));
                }
                rest = cluster;
            }
            // Cut short.
            Err(_) => return frames,
        }
    }
    frames
}

fn vp8() -> TrackFormat {
    TrackFormat::Vp8 { width: 320, height: 180 }
}

/// Two tracks over ten seconds, as they are written.
fn written() -> WebmFile<Cursor<Vec<u8>>> {
    let mut webm = WebmFile::new(Cursor::new(Vec::new()), vec![TrackFormat::Opus, vp8()]).unwrap();
    for n in 0..500u64 {
        webm.frame(1, n * 20, true, &[n as u8; 50]).unwrap();
        if n % 2 == 0 {
            webm.frame(2, n * 20, n % 100 == 0, &[n as u8; 500]).unwrap();
        }
    }
    webm
}

#[test]
fn all_frames_are_there_with_their_times() {
    let file = written().finish().unwrap().into_inner();
    let frames = frames(&file);
    assert_eq!(frames.len(), 750);
    let (audio, video): (Vec<&Stored>, Vec<&Stored>) = frames.iter().partition(|frame| frame.0 == 1);
    assert!(audio.iter().enumerate().all(|(n, frame)| (frame.1, frame.2) == (n as i64 * 20, true)));
    assert!(video.iter().enumerate().all(|(n, frame)| (frame.1, frame.2) == (n as i64 * 40, n % 50 == 0)));
    assert_eq!(video[7].3, [14; 500]);
}

#[test]
fn a_whole_file_tells_its_length_and_where_to_seek() {
    let file = written().finish().unwrap().into_inner();
    let view = MatroskaView::new(&mut Cursor::new(&file)).unwrap();
    let segment = &view.segments[0];
    assert_eq!(segment.info.duration.as_deref(), Some(&9_980.0));
    let entries = &segment.tracks.as_ref().unwrap().track_entry;
    assert_eq!(entries.iter().map(|entry| entry.codec_id.to_string()).collect::<Vec<_>>(), ["A_OPUS", "V_VP8"]);
    let cues = segment.cues.as_ref().unwrap();
    // Each key frame can be sought, and a cluster begins there.
    let times: Vec<u64> = cues.cue_point.iter().map(|point| *point.cue_time).collect();
    assert_eq!(times, [0, 2_000, 4_000, 6_000, 8_000]);
    let segment_at = file.windows(4).position(|bytes| bytes == [0x18, 0x53, 0x80, 0x67]).unwrap() + 12;
    for point in &cues.cue_point {
        let at = segment_at + *point.cue_track_positions[0].cue_cluster_position as usize;
        assert_eq!(file[at..at + 4], [0x1F, 0x43, 0xB6, 0x75]);
    }
    let size = u64::from_be_bytes(file[segment_at - 8..segment_at].try_into().unwrap()) & !(1 << 56);
    assert_eq!(segment_at as u64 + size, file.len() as u64);
}

#[test]
fn a_file_that_was_cut_anywhere_plays_up_to_there() {
    let webm = written();
    let file = webm.file.get_ref().clone();
    let whole = frames(&file);
    // Without the last cluster, which was not written: at most two seconds.
    assert!(whole.len() >= 750 * 8 / 10, "{}", whole.len());
    let head = file.windows(4).position(|bytes| bytes == [0x1F, 0x43, 0xB6, 0x75]).unwrap();
    for length in (head..file.len()).step_by(997) {
        let played = frames(&file[..length]);
        assert_eq!(played[..], whole[..played.len()]);
        // What is missing is one cluster at most.
        assert!(played.last().map_or(0, |frame| frame.1) + 2_100 >= 9_980 * length as i64 / file.len() as i64 - 2_100);
    }
}

#[test]
fn h264_is_stored_with_lengths_and_its_parameters_in_the_header() {
    let (sps, pps) = (vec![0x67, 0x42, 0xC0, 0x1F, 1], vec![0x68, 2]);
    let format = TrackFormat::H264 { width: 16, height: 16, sps: sps.clone(), pps: pps.clone() };
    let mut webm = WebmFile::new(Cursor::new(Vec::new()), vec![format]).unwrap();
    let start = [0, 0, 0, 1];
    let frame = [&start[..], &sps, &start, &pps, &start, &[0x65, 9, 8]].concat();
    webm.frame(1, 0, true, &frame).unwrap();
    // Other parameters, and the first ones again: they stay, as the header's no longer hold.
    let other = [&start[..], &[0x67, 0x42, 0xC0, 0x1F, 2], &start, &[0x65, 7]].concat();
    webm.frame(1, 40, true, &other).unwrap();
    webm.frame(1, 80, true, &frame).unwrap();
    let file = webm.finish().unwrap().into_inner();
    let stored: Vec<_> = frames(&file).into_iter().map(|frame| frame.3).collect();
    assert_eq!(stored[0], [0, 0, 0, 3, 0x65, 9, 8]);
    assert_eq!(stored[1], [0, 0, 0, 5, 0x67, 0x42, 0xC0, 0x1F, 2, 0, 0, 0, 2, 0x65, 7]);
    assert_eq!(stored[2].len(), 4 + sps.len() + 4 + pps.len() + 7);
    let view = MatroskaView::new(&mut Cursor::new(&file)).unwrap();
    assert_eq!(view.ebml.doc_type.as_ref().map(|doc_type| doc_type.to_string()).as_deref(), Some("matroska"));
    let entry = &view.segments[0].tracks.as_ref().unwrap().track_entry[0];
    let record = entry.codec_private.as_ref().unwrap();
    assert_eq!(record[..8], [1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 5]);
    assert_eq!(record[13..], [1, 0, 2, 0x68, 2]);
}

#[test]
fn av1_is_stored_with_its_sequence_header() {
    use crate::processing::video::{EncodedFrame, FrameCodec, assembly::Assembler, av1::tests::*};
    let mut assembler = Assembler::new(FrameCodec::Av1);
    let payloads = payloads(&[SEQUENCE.to_vec(), frame(true, 3_000)], 1_100);
    let last = payloads.len() - 1;
    let now = std::time::Instant::now();
    let sent = payloads.into_iter().enumerate();
    let whole: Vec<EncodedFrame> =
        sent.flat_map(|(n, payload)| assembler.push(now, n as u64, 0, n == last, payload.into())).collect();
    let format = TrackFormat::of(FrameCodec::Av1, &whole[0]).unwrap();
    let mut webm = WebmFile::new(Cursor::new(Vec::new()), vec![format]).unwrap();
    webm.frame(1, 0, true, &whole[0].data).unwrap();
    let file = webm.finish().unwrap().into_inner();
    assert_eq!(frames(&file)[0].3, whole[0].data);
    let view = MatroskaView::new(&mut Cursor::new(&file)).unwrap();
    assert_eq!(view.ebml.doc_type.as_ref().map(|doc_type| doc_type.to_string()).as_deref(), Some("webm"));
    let entry = &view.segments[0].tracks.as_ref().unwrap().track_entry[0];
    assert_eq!(entry.codec_id.to_string(), "V_AV1");
    let video = entry.video.as_ref().unwrap();
    assert_eq!((*video.pixel_width, *video.pixel_height), (1_280, 720));
    // Profile 0, level 8, main tier; 8 bits, colour halved both ways, its position unknown.
    let record = entry.codec_private.as_ref().unwrap();
    assert_eq!(record[..], [&[0x81, 8, 0b0000_1100, 0, 0x0A, 11][..], &SEQUENCE[1..]].concat());
}
