//! Opus parameters (RFC 7587) of an offer that the answer must repeat, or the client would encode without them: they say what the
//! other side wants to receive, and the others in the room want what the client offers to send.

/// Parameters that are repeated. `sprop-stereo` announces what is asked for with `stereo`.
const KEPT: [&str; 5] = ["stereo", "sprop-stereo", "usedtx", "maxaveragebitrate", "cbr"];
/// Longest value that is repeated.
const MAX_VALUE: usize = 6;

/// The answer with the Opus parameters of the offer, m-line by m-line.
pub fn keep_parameters(offer: &str, answer: &str) -> String {
    let offered: Vec<Vec<String>> = sections(offer).map(|section| wanted(&section)).collect();
    if offered.iter().all(Vec::is_empty) {
        return answer.to_owned();
    }
    let mut kept = String::with_capacity(answer.len() + 64);
    let mut section = None;
    let mut formats: Vec<&str> = Vec::new();
    for line in answer.lines() {
        if line.starts_with("m=") {
            section = Some(section.map_or(0, |index| index + 1));
            formats.clear();
        }
        formats.extend(opus_format(line));
        kept.push_str(line);
        if let Some((format, _)) = fmtp(line)
            && formats.contains(&format)
            && let Some(parameters) = section.and_then(|index: usize| offered.get(index))
        {
            for parameter in parameters {
                let name = parameter.split('=').next().unwrap_or_default();
                if !line.contains(&format!(";{name}=")) && !line.contains(&format!(" {name}=")) {
                    kept.push(';');
                    kept.push_str(parameter);
                }
            }
        }
        kept.push_str("\r\n");
    }
    kept
}

/// The mids of the m-lines that offer redundant audio: the engine negotiates it for all lines at once.
pub fn with_redundancy(offer: &str) -> Vec<&str> {
    let names_red = |line: &&str| {
        let codec = line.strip_prefix("a=rtpmap:").and_then(|line| line.split_once(' '));
        codec.is_some_and(|(_, codec)| codec.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("red/")))
    };
    sections(offer)
        .filter(|section| section.iter().any(names_red))
        .filter_map(|section| section.iter().find_map(|line| line.trim_end().strip_prefix("a=mid:")))
        .collect()
}

fn sections(sdp: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut lines = sdp.lines().skip_while(|line| !line.starts_with("m=")).peekable();
    std::iter::from_fn(move || {
        let mut section = vec![lines.next()?];
        while let Some(line) = lines.next_if(|line| !line.starts_with("m=")) {
            section.push(line);
        }
        Some(section)
    })
}

/// What an offered m-line asks for.
fn wanted(section: &[&str]) -> Vec<String> {
    let formats: Vec<&str> = section.iter().filter_map(|line| opus_format(line)).collect();
    let mut wanted: Vec<String> = Vec::new();
    for (_, parameters) in section.iter().filter_map(|line| fmtp(line)).filter(|(format, _)| formats.contains(format)) {
        for parameter in parameters.split(';').map(str::trim) {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let plain = (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
            if plain && KEPT.contains(&name) && !wanted.iter().any(|known| known.split('=').next() == Some(name)) {
                wanted.push(parameter.to_owned());
            }
        }
    }
    if wanted.iter().any(|parameter| parameter == "sprop-stereo=1") && !wanted.iter().any(|p| p.starts_with("stereo="))
    {
        wanted.push("stereo=1".to_owned());
    }
    wanted
}

fn opus_format(line: &str) -> Option<&str> {
    let (format, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
    codec.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("opus/")).then_some(format)
}

fn fmtp(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_prefix("a=fmtp:")?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\nm=audio 9 x 63 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
        a=fmtp:63 111/111\r\nm=audio 9 x 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n";

    #[test]
    fn stereo_and_silence_suppression_are_kept_where_they_were_offered() {
        let offer = "v=0\r\nm=audio 9 x 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;sprop-stereo=1;usedtx=1\r\n\
            m=audio 9 x 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n";
        let answer = keep_parameters(offer, ANSWER);
        let lines: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=fmtp")).collect();
        assert_eq!(
            lines,
            [
                "a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1;usedtx=1;stereo=1",
                "a=fmtp:63 111/111",
                "a=fmtp:111 minptime=10;useinbandfec=1",
            ]
        );
        assert_eq!(keep_parameters(&answer, &answer), answer, "nothing twice");
    }

    #[test]
    fn lines_that_offer_redundant_audio_are_found() {
        let offer = "v=0\r\nm=audio 9 x 111 63\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n\
            m=audio 9 x 111\r\na=mid:1\r\na=rtpmap:111 opus/48000/2\r\nm=video 9 x 96\r\na=mid:2\r\n";
        assert_eq!(with_redundancy(offer), ["0"]);
    }

    #[test]
    fn nothing_but_plain_numbers_is_repeated() {
        let offer = "m=audio 9 x 111\r\na=rtpmap:111 OPUS/48000/2\r\na=fmtp:111 usedtx=1x;stereo=;maxaveragebitrate=99999999;foo=1\r\n\
            m=video 9 x 96\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 stereo=1\r\n";
        assert_eq!(keep_parameters(offer, ANSWER), ANSWER);
    }
}
