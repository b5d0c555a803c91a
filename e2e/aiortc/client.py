"""A WHIP or WHEP client on aiortc, for the end-to-end suite.

    client.py publish URL    sends a bar that moves sideways and a tone, until standard input ends
    client.py watch URL      receives, until standard input ends; a line of JSON per second says what was decoded

The access token is read from the environment variable CHROOM_TOKEN. The last line is JSON with the totals.
"""

import asyncio
import fractions
import json
import math
import os
import sys
import time
import urllib.parse
import urllib.request
from array import array

from aiortc import RTCPeerConnection, RTCSessionDescription, MediaStreamTrack
from aiortc.mediastreams import VideoStreamTrack
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT, BAR = 320, 180, 48
RATE, SAMPLES = 48_000, 960


class Bar(VideoStreamTrack):
    """A bright upright bar over a dark ground, which moves sideways."""

    frames = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        start = (self.frames * 8) % WIDTH
        self.frames += 1
        row = bytearray([40]) * WIDTH
        for offset in range(BAR):
            row[(start + offset) % WIDTH] = 220
        frame = VideoFrame(width=WIDTH, height=HEIGHT, format="yuv420p")
        for index, plane in enumerate(frame.planes):
            line = bytes(row) if index == 0 else bytes([128]) * plane.width
            padding = bytes(plane.line_size - len(line))
            plane.update((line + padding) * plane.height)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(MediaStreamTrack):
    """A tone of 550 Hz, in frames of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.count = 0
        self.began = None

    async def recv(self):
        if self.began is None:
            self.began = time.monotonic()
        due = self.began + self.count * SAMPLES / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        first = self.count * SAMPLES
        self.count += 1
        wave = array("h", (int(9_000 * math.sin(2 * math.pi * 550 * (first + i) / RATE)) for i in range(SAMPLES)))
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(wave.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, fractions.Fraction(1, RATE)
        return frame


def spread(values):
    mean = sum(values) / max(1, len(values))
    return math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values)))


class Seen:
    """What was decoded."""

    def __init__(self):
        self.frames = 0
        self.audio_frames = 0
        self.level = 0.0
        self.along_rows = 0.0
        self.along_columns = 0.0
        self.change = 0.0
        self.size = [0, 0]
        self.last = None

    async def video(self, track):
        while True:
            frame = await track.recv()
            self.frames += 1
            self.size = [frame.width, frame.height]
            if self.frames % 5:
                continue
            plane = frame.planes[0]
            data = bytes(plane)
            # A coarse grid is enough to tell which way a bar lies and that it moves.
            xs = range(0, frame.width, max(1, frame.width // 32))
            ys = range(0, frame.height, max(1, frame.height // 18))
            grid = [[data[y * plane.line_size + x] for x in xs] for y in ys]
            self.along_columns = spread([sum(row) / len(row) for row in grid])
            self.along_rows = spread([sum(column) / len(column) for column in zip(*grid)])
            flat = [value for row in grid for value in row]
            if self.last is not None and len(self.last) == len(flat):
                self.change = sum(abs(a - b) for a, b in zip(self.last, flat)) / len(flat)
            self.last = flat

    async def audio(self, track):
        while True:
            frame = await track.recv()
            self.audio_frames += 1
            samples = array("h", bytes(frame.planes[0])[: frame.samples * 2 * len(frame.layout.channels)])
            loudest = max((abs(sample) for sample in samples), default=0) / 32_768
            self.level = max(self.level * 0.95, loudest)

    def report(self, state):
        return {
            "state": state,
            "frames": self.frames,
            "audioFrames": self.audio_frames,
            "level": round(self.level, 3),
            "alongRows": round(self.along_rows, 1),
            "alongColumns": round(self.along_columns, 1),
            "change": round(self.change, 1),
            "size": self.size,
        }


def http(method, url, body=None):
    headers = {"Authorization": f"Bearer {os.environ['CHROOM_TOKEN']}"}
    if body is not None:
        headers["Content-Type"] = "application/sdp"
    request = urllib.request.Request(url, data=None if body is None else body.encode(), headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.status, response.headers, response.read().decode()


async def main(mode, url):
    loop = asyncio.get_running_loop()
    connection = RTCPeerConnection()
    seen = Seen()
    tasks = []
    if mode == "publish":
        connection.addTransceiver(Tone(), direction="sendonly")
        connection.addTransceiver(Bar(), direction="sendonly")
    else:
        connection.addTransceiver("audio", direction="recvonly")
        connection.addTransceiver("video", direction="recvonly")

        @connection.on("track")
        def received(track):
            tasks.append(asyncio.ensure_future(getattr(seen, track.kind)(track)))

    await connection.setLocalDescription(await connection.createOffer())
    status, headers, answer = await loop.run_in_executor(None, http, "POST", url, connection.localDescription.sdp)
    if status != 201:
        raise SystemExit(f"{url} answers {status}")
    resource = urllib.parse.urljoin(url, headers["Location"])
    await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    ended = asyncio.Event()

    async def until_input_ends():
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
        ended.set()

    waiting = asyncio.ensure_future(until_input_ends())
    while not ended.is_set():
        print(json.dumps(seen.report(connection.connectionState)), flush=True)
        try:
            await asyncio.wait_for(ended.wait(), 1)
        except asyncio.TimeoutError:
            pass
    waiting.cancel()
    status, _, _ = await loop.run_in_executor(None, http, "DELETE", resource)
    print(json.dumps({**seen.report(connection.connectionState), "deleted": status}), flush=True)
    for task in tasks:
        task.cancel()
    await connection.close()


asyncio.run(main(sys.argv[1], sys.argv[2]))
