//! A camera's encoder: frames at a rate, sizes about a bit rate, key frames now and then and when asked for.

use rand::Rng;
use std::time::Duration;

/// Largest RTP payload that is sent, in bytes: what encoders take so that packets fit all paths.
pub const PAYLOAD: usize = 1_100;
/// Smallest payload: there must be room for descriptor and stamp.
pub const MIN_PAYLOAD: usize = 40;
/// A key frame has as many times the bytes of another frame.
const KEY_RATIO: f64 = 4.0;
/// Frames differ by up to this share from the mean.
const SPREAD: f64 = 0.2;
/// At most one key frame in this time, however often one is asked for; as encoders do.
const KEY_GAP: Duration = Duration::from_millis(300);

/// How a video is.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Video {
    /// Bit rate of the payload, in kb/s.
    pub kbps: u32,
    /// Frames a second.
    pub fps: u32,
    /// Height of the picture, in pixels.
    pub height: u16,
    /// Time between key frames that nobody asked for.
    pub key_every: Duration,
}

/// An encoded picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its number.
    pub number: u32,
    /// Whether it can be decoded by itself.
    pub keyframe: bool,
    /// Its bytes.
    pub bytes: usize,
}

impl Frame {
    /// Payload sizes of its packets: full ones, then the rest.
    pub fn payloads(self) -> impl Iterator<Item = usize> {
        let count = self.bytes.div_ceil(PAYLOAD).max(1);
        (0..count).map(move |index| {
            let left = self.bytes.saturating_sub(index * PAYLOAD);
            left.clamp(MIN_PAYLOAD, PAYLOAD)
        })
    }
}

/// The encoder.
#[derive(Clone, Debug)]
pub struct VideoSource {
    video: Video,
    /// When the next frame is due, from the source's beginning on.
    next: Duration,
    number: u32,
    last_key: Option<Duration>,
    /// When the next key frame is due that nobody has to ask for. Its times are the source's own: if they counted from the last that was asked for,
    /// all sources would go in step ever after a moment in which all were asked.
    next_key: Duration,
    wanted: bool,
}

impl VideoSource {
    /// An encoder whose first frame, a key frame, is due at `start`.
    pub fn new(video: Video, start: Duration) -> Self {
        Self { video, next: start, number: 0, last_key: None, next_key: start, wanted: false }
    }

    /// When the next frame is due.
    pub fn due(&self) -> Duration {
        self.next
    }

    /// Makes one of the next frames a key frame.
    pub fn want_keyframe(&mut self) {
        self.wanted = true;
    }

    /// The frame that is due. One that the caller comes too late for is skipped, as a camera's would be.
    pub fn poll(&mut self, now: Duration, random: &mut impl Rng) -> Option<Frame> {
        if now < self.next {
            return None;
        }
        let interval = Duration::from_secs(1) / self.video.fps.max(1);
        self.next += interval;
        if self.next <= now {
            let behind = (now - self.next).as_micros() / interval.as_micros().max(1) + 1;
            let skipped = u32::try_from(behind).unwrap_or(u32::MAX);
            self.next += interval.saturating_mul(skipped);
            self.number = self.number.wrapping_add(skipped);
        }
        let since_key = self.last_key.map(|last| now.saturating_sub(last));
        let is_due = now >= self.next_key;
        if is_due {
            let every = self.video.key_every.max(interval);
            let behind = (now - self.next_key).as_micros() / every.as_micros().max(1) + 1;
            self.next_key += every.saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX));
        }
        let keyframe = since_key
            .is_none_or(|since| is_due && since >= self.video.key_every / 2 || self.wanted && since >= KEY_GAP);
        if keyframe {
            self.last_key = Some(now);
            self.wanted = false;
        }
        // The other frames give way, so that the sum keeps to the bit rate.
        let fps = f64::from(self.video.fps);
        let frames = (self.video.key_every.as_secs_f64() * fps).max(1.0);
        let mean = f64::from(self.video.kbps) * 125.0 / fps * frames / (frames - 1.0 + KEY_RATIO);
        let spread = 1.0 + random.random_range(-SPREAD..SPREAD);
        let bytes = (mean * if keyframe { KEY_RATIO } else { spread }) as usize;
        let frame = Frame { number: self.number, keyframe, bytes: bytes.max(MIN_PAYLOAD) };
        self.number = self.number.wrapping_add(1);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    const CAMERA: Video = Video { kbps: 2_500, fps: 30, height: 720, key_every: Duration::from_secs(10) };

    /// The frames of `seconds`, asked for each millisecond.
    fn run(source: &mut VideoSource, seconds: u64, mut each: impl FnMut(&mut VideoSource, u64)) -> Vec<(u64, Frame)> {
        let mut random = StdRng::seed_from_u64(1);
        let mut frames = Vec::new();
        for millis in 0..seconds * 1_000 {
            each(source, millis);
            frames.extend(source.poll(Duration::from_millis(millis), &mut random).map(|frame| (millis, frame)));
        }
        frames
    }

    #[test]
    fn rate_frames_and_key_frames_are_as_said() {
        let frames = run(&mut VideoSource::new(CAMERA, Duration::ZERO), 60, |_, _| {});
        assert!((1_798..=1_800).contains(&frames.len()), "{}", frames.len());
        let keys: Vec<u64> = frames.iter().filter(|(_, frame)| frame.keyframe).map(|(at, _)| at / 1_000).collect();
        assert_eq!(keys, [0, 10, 20, 30, 40, 50]);
        let kbps = frames.iter().map(|(_, frame)| frame.bytes).sum::<usize>() / 125 / 60;
        assert!((2_450..=2_550).contains(&kbps), "{kbps}");
        assert!(frames.windows(2).all(|pair| pair[1].1.number == pair[0].1.number + 1));
    }

    #[test]
    fn sources_that_were_asked_together_dont_stay_together() {
        let keys = |start, asked: u64| {
            let mut source = VideoSource::new(CAMERA, Duration::from_millis(start));
            let frames = run(&mut source, 50, |source, at| {
                if at == asked {
                    source.want_keyframe()
                }
            });
            frames.into_iter().filter(|(_, frame)| frame.keyframe).map(|(at, _)| at / 100).collect::<Vec<_>>()
        };
        assert_eq!(keys(0, 13_020), [0, 100, 130, 200, 300, 400]);
        assert_eq!(keys(3_000, 13_020), [30, 130, 133, 230, 330, 430]);
        // One that was asked for not long before is as good.
        assert_eq!(keys(7_000, 13_020), [70, 130, 270, 370, 470]);
    }

    #[test]
    fn a_storm_of_requests_makes_few_key_frames() {
        let frames = run(&mut VideoSource::new(CAMERA, Duration::ZERO), 3, |source, _| source.want_keyframe());
        let keys = frames.iter().filter(|(_, frame)| frame.keyframe).count();
        assert!((9..=10).contains(&keys), "{keys}");
    }

    #[test]
    fn late_frames_are_skipped_not_caught_up() {
        let mut source = VideoSource::new(CAMERA, Duration::ZERO);
        let mut random = StdRng::seed_from_u64(1);
        assert_eq!(source.poll(Duration::ZERO, &mut random).map(|frame| frame.number), Some(0));
        assert_eq!(source.poll(Duration::from_millis(1_010), &mut random).map(|frame| frame.number), Some(30));
        assert_eq!(source.poll(Duration::from_millis(1_011), &mut random), None);
        assert_eq!(source.poll(Duration::from_millis(1_034), &mut random).map(|frame| frame.number), Some(31));
    }

    #[test]
    fn a_frame_is_cut_into_full_packets_and_a_rest() {
        let sizes = |bytes| Frame { number: 0, keyframe: false, bytes }.payloads().collect::<Vec<_>>();
        assert_eq!(sizes(2_500), [1_100, 1_100, 300]);
        assert_eq!(sizes(1_100), [1_100]);
        assert_eq!(sizes(1_101), [1_100, MIN_PAYLOAD]);
    }
}
