import type { Page } from "playwright-core";
import type { Browser } from "./browser.js";

/** A resource, as its page knows it. */
export interface Resource {
  location: string;
  etag: string;
  links: string;
}

/** What a page's connection did so far. */
export interface WhipFigures {
  state: string;
  /** User name fragment of the media node in the pair of candidates that is in use. */
  ufrag: string;
  framesSent: number;
  framesDecoded: number;
  samples: number;
}

interface Client {
  open(url: string, token: string, publish: boolean): Promise<Resource>;
  restart(): Promise<{ status: number; etag: string }>;
  figures(): Promise<WhipFigures>;
  grab(): number[];
  end(): Promise<number>;
}

interface WhipWindow {
  whip: Client;
}

/** A page with one WHIP or WHEP client of a few lines, as anybody would write it, without the SDK. It is of another origin than the orchestrator. */
export class WhipPage {
  private constructor(readonly page: Page) {}

  static async open(browser: Browser, demo: string): Promise<WhipPage> {
    // The page itself does not matter: its origin is one where devices may be used.
    const page = await browser.page(demo);
    await page.evaluate(install);
    return new WhipPage(page);
  }

  publish(url: string, token: string): Promise<Resource> {
    return this.page.evaluate(([to, by]) => (window as unknown as WhipWindow).whip.open(to, by, true), [
      url,
      token,
    ] as const);
  }

  watch(url: string, token: string): Promise<Resource> {
    return this.page.evaluate(([to, by]) => (window as unknown as WhipWindow).whip.open(to, by, false), [
      url,
      token,
    ] as const);
  }

  /** An ICE restart by PATCH. */
  restart(): Promise<{ status: number; etag: string }> {
    return this.page.evaluate(() => (window as unknown as WhipWindow).whip.restart());
  }

  figures(): Promise<WhipFigures> {
    return this.page.evaluate(() => (window as unknown as WhipWindow).whip.figures());
  }

  /** A small grey picture of what is shown now. */
  grab(): Promise<number[]> {
    return this.page.evaluate(() => (window as unknown as WhipWindow).whip.grab());
  }

  /** Ends the resource; gives the answer's status. */
  end(): Promise<number> {
    return this.page.evaluate(() => (window as unknown as WhipWindow).whip.end());
  }

  async close(): Promise<void> {
    await this.page.close().catch(() => undefined);
  }
}

/** Runs in the page. */
function install(): void {
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const video = document.createElement("video");
  video.muted = true;
  video.autoplay = true;
  document.body.append(video);
  const shown = new MediaStream();
  video.srcObject = shown;
  connection.ontrack = ({ track }) => shown.addTrack(track);
  let resource = "";
  let token = "";

  const request = async (method: string, url: string, headers: Record<string, string>, body?: string) => {
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
    return { response, text };
  };
  const attribute = (sdp: string, name: string): string =>
    new RegExp(`^a=${name}:(.*)$`, "m").exec(sdp)?.[1]?.trim() ?? "";

  (window as unknown as WhipWindow).whip = {
    async open(url, by, publish) {
      token = by;
      if (publish) {
        const stream = await navigator.mediaDevices.getUserMedia({
          audio: true,
          video: { width: 320, height: 180, frameRate: 15 },
        });
        for (const track of stream.getTracks())
          connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
      } else {
        connection.addTransceiver("audio", { direction: "recvonly" });
        connection.addTransceiver("video", { direction: "recvonly" });
      }
      await connection.setLocalDescription();
      const offer = connection.localDescription?.sdp ?? "";
      const { response, text } = await request("POST", url, { "content-type": "application/sdp" }, offer);
      await connection.setRemoteDescription({ type: "answer", sdp: text });
      resource = new URL(response.headers.get("location") ?? "", url).href;
      return {
        location: resource,
        etag: response.headers.get("etag") ?? "",
        links: response.headers.get("link") ?? "",
      };
    },

    async restart() {
      connection.restartIce();
      await connection.setLocalDescription();
      const offer = connection.localDescription?.sdp ?? "";
      const fragment = ["ice-ufrag", "ice-pwd"]
        .map((name) => `a=${name}:${attribute(offer, name)}\r\n`)
        .join("");
      const headers = { "content-type": "application/trickle-ice-sdpfrag", "if-match": "*" };
      const { response, text } = await request("PATCH", resource, headers, fragment);
      let answer = connection.remoteDescription?.sdp ?? "";
      for (const name of ["ice-ufrag", "ice-pwd"])
        answer = answer.replaceAll(
          new RegExp(`^a=${name}:.*$`, "gm"),
          `a=${name}:${attribute(text, name)}\r`,
        );
      await connection.setRemoteDescription({ type: "answer", sdp: answer.replaceAll("\r\r", "\r") });
      return { status: response.status, etag: response.headers.get("etag") ?? "" };
    },

    async figures() {
      const figures = {
        state: connection.connectionState as string,
        ufrag: "",
        framesSent: 0,
        framesDecoded: 0,
        samples: 0,
      };
      const reports = [...(await connection.getStats()).values()] as Record<string, unknown>[];
      const transport = reports.find(({ type }) => type === "transport");
      const pair = reports.find(({ id }) => id === transport?.selectedCandidatePairId);
      const remote = reports.find(({ id }) => id === pair?.remoteCandidateId);
      figures.ufrag = String(remote?.usernameFragment ?? "");
      for (const report of reports) {
        if (report.type === "outbound-rtp") figures.framesSent += Number(report.framesSent ?? 0);
        if (report.type !== "inbound-rtp") continue;
        figures.framesDecoded += Number(report.framesDecoded ?? 0);
        // Samples that were heard, not those that made up for missing ones.
        figures.samples += Number(report.totalSamplesReceived ?? 0) - Number(report.concealedSamples ?? 0);
      }
      return figures;
    },

    grab() {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [32, 18];
      const context = canvas.getContext("2d");
      if (!context || video.videoWidth === 0) return [];
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      const grey: number[] = [];
      for (let index = 0; index < data.length; index += 4)
        grey.push(Math.round(((data[index] ?? 0) + (data[index + 1] ?? 0) + (data[index + 2] ?? 0)) / 3));
      return grey;
    },

    async end() {
      const { response } = await request("DELETE", resource, {});
      connection.close();
      return response.status;
    },
  };
}
