/** Codecs whose format parameters take Chromium's start bit rate. */
const CODECS = /^(vp8|vp9|h264)$/i;

/**
 * Names the rate at which sending begins, in kb/s, on the video m-lines of an answer that we send on. Without it Chromium begins at
 * 300 kb/s and, as it grows by what it sends, may never come to a picture's best layer. Other browsers ignore the parameter.
 */
export function withStartBitrate(sdp: string, kbps: number): string {
  return sdp
    .split(/(?=^m=)/m)
    .map((section) =>
      /^m=video/.test(section) && /^a=recvonly\s*$/m.test(section) ? inSection(section, kbps) : section,
    )
    .join("");
}

function inSection(section: string, kbps: number): string {
  const parameter = `x-google-start-bitrate=${Math.round(kbps)}`;
  const lines = section.split("\r\n");
  const [ends, list] = lines.length > 1 ? ["\r\n", lines] : ["\n", section.split("\n")];
  const result = [...list];
  for (const line of list) {
    const [, payload, codec] = /^a=rtpmap:(\d+) ([^/\s]+)\//.exec(line) ?? [];
    if (payload === undefined || codec === undefined || !CODECS.test(codec)) continue;
    const format = result.findIndex((one) => one.startsWith(`a=fmtp:${payload} `));
    if (format >= 0) result[format] = `${result[format] ?? ""};${parameter}`;
    else result.splice(result.indexOf(line) + 1, 0, `a=fmtp:${payload} ${parameter}`);
  }
  return result.join(ends);
}
