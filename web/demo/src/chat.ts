import { ChroomError, type Room } from "@chroom/client";
import { h } from "../../shared/dom";
import { icon } from "./icons";
import { toast } from "./toast";

const MAX_TEXT = 2_000;
const MAX_SHOWN = 200;

/** A chat message as it was received or sent. */
export interface ChatMessage {
  from: string;
  name: string;
  text: string;
  mine: boolean;
}

/** Text messages over the reliable data channel, as JSON `{ "chat": text }`. */
export class Chat {
  readonly messages: ChatMessage[] = [];
  readonly #log: HTMLElement;
  readonly #none: HTMLElement;
  /** Called for each message of someone else. */
  onmessage: () => void = () => undefined;

  constructor(
    private readonly room: Room,
    element: HTMLElement,
    private readonly ownName: string,
  ) {
    this.#none = h(
      "p",
      { class: "none" },
      "Messages go straight through the media node and are kept nowhere.",
    );
    this.#log = h("div", { class: "log", "aria-live": "polite" }, this.#none);
    const input = h("input", { placeholder: "Message", maxlength: MAX_TEXT, "aria-label": "Message" });
    const form = h(
      "form",
      {
        class: "say",
        onsubmit: (event: Event) => {
          event.preventDefault();
          if (input.value.trim() !== "" && this.send(input.value.trim())) input.value = "";
        },
      },
      input,
      h("button", { class: "button", "aria-label": "Send" }, icon("send")),
    );
    element.replaceChildren(h("h2", {}, "Chat"), this.#log, form);
    room.on("message", (message) => {
      const text = chatText(message.payload);
      if (text === undefined) return;
      const name = message.participant?.name ?? "someone who left";
      this.#show({ from: message.sender, name, text, mine: false });
      this.onmessage();
    });
  }

  /** Sends a text to everyone; false if it cannot be sent now. */
  send(text: string): boolean {
    try {
      this.room.send(JSON.stringify({ chat: text.slice(0, MAX_TEXT) }));
    } catch (error) {
      if (error instanceof ChroomError) toast(error.message, error.hint);
      return false;
    }
    this.#show({ from: this.room.participantId, name: this.ownName, text, mine: true });
    return true;
  }

  #show(message: ChatMessage): void {
    this.messages.push(message);
    this.#none.remove();
    const said = h("div", { class: "said" }, !message.mine && h("small", {}, message.name), message.text);
    said.classList.toggle("mine", message.mine);
    this.#log.append(said);
    while (this.#log.childElementCount > MAX_SHOWN) this.#log.firstElementChild?.remove();
    if (this.messages.length > MAX_SHOWN) this.messages.shift();
    this.#log.scrollTop = this.#log.scrollHeight;
  }
}

function chatText(payload: Uint8Array): string | undefined {
  try {
    const message: unknown = JSON.parse(new TextDecoder().decode(payload));
    if (
      typeof message === "object" &&
      message !== null &&
      "chat" in message &&
      typeof message.chat === "string"
    ) {
      return message.chat.slice(0, MAX_TEXT);
    }
  } catch {
    // Not ours: applications may send what they like.
  }
  return undefined;
}
