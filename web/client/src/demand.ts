/** Turns layers on and off by what anyone watches; whether that changed one. */
export function activate(encodings: RTCRtpEncodingParameters[], layers: string[], paused: boolean): boolean {
  let changed = false;
  for (const encoding of encodings) {
    // Without simulcast there is one encoding, which no layer names.
    const wanted =
      !paused && (encoding.rid === undefined || layers.length === 0 || layers.includes(encoding.rid));
    if ((encoding.active ?? true) === wanted) continue;
    encoding.active = wanted;
    changed = true;
  }
  return changed;
}

/** The demand for one sender's video. Changes are made one after the other: each needs the parameters that the last one left. */
export class Demand {
  #last: Promise<void> = Promise.resolve();

  constructor(private readonly sender: RTCRtpSender) {}

  /** Sends these layers, or nothing, from now on. */
  set(layers: string[], paused: boolean): Promise<void> {
    const change = async (): Promise<void> => {
      const parameters = this.sender.getParameters();
      if (activate(parameters.encodings, layers, paused)) await this.sender.setParameters(parameters);
    };
    this.#last = this.#last.catch(() => undefined).then(change);
    return this.#last;
  }
}
