import { Room, type Capture } from "@chroom/client";
import type { MockNetwork } from "./sfu";

/** A participant that sends a drawn picture and a tone. */
export async function bot(network: MockNetwork, name: string, hue: number, camera: boolean): Promise<Room> {
  const room = new Room({ socket: network.open, autoSubscribe: false });
  await room.connect("mock", name);
  const captures: Capture[] = [{ source: "microphone", track: tone(180 + hue) }];
  if (camera) captures.push({ source: "camera", track: picture(hue) });
  await room.publish(...captures);
  return room;
}

function tone(frequency: number): MediaStreamTrack {
  const context = new AudioContext();
  const oscillator = new OscillatorNode(context, { frequency });
  const gain = new GainNode(context, { gain: 0.05 });
  const out = context.createMediaStreamDestination();
  oscillator.connect(gain).connect(out);
  oscillator.start();
  const track = out.stream.getAudioTracks()[0];
  if (!track) throw new Error("no audio track");
  return track;
}

function picture(hue: number): MediaStreamTrack {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  const draw = () => {
    const t = performance.now() / 1000;
    const back = context.createLinearGradient(0, 0, 640, 360);
    back.addColorStop(0, `hsl(${hue} 45% 22%)`);
    back.addColorStop(1, `hsl(${hue + 60} 50% 12%)`);
    context.fillStyle = back;
    context.fillRect(0, 0, 640, 360);
    context.fillStyle = `hsl(${hue + 20} 35% 55%)`;
    context.beginPath();
    context.arc(320 + Math.sin(t) * 12, 150, 62, 0, 7);
    context.fill();
    context.beginPath();
    context.ellipse(320 + Math.sin(t) * 8, 350, 150, 120, 0, 0, 7);
    context.fill();
  };
  draw();
  setInterval(draw, 50);
  const track = canvas.captureStream(20).getVideoTracks()[0];
  if (!track) throw new Error("no video track");
  return track;
}
