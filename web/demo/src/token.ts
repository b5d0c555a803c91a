import { ChroomError } from "@chroom/client";

/** What the demo's back end gives. */
export interface Admission {
  token: string;
  /** Orchestrators' WebSocket addresses. */
  urls: string[];
}

/** Asks the page's own back end for an access token. */
export async function admission(room: string, identity: string, name: string): Promise<Admission> {
  const hint =
    "The page needs its back end: start the network with `make up` and open the address that it names.";
  let response: Response;
  try {
    response = await fetch("/token", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ room, identity, name }),
    });
  } catch (error) {
    throw new ChroomError("back-end-unreachable", "the page's back end cannot be reached", hint, {
      cause: error,
    });
  }
  const text = await response.text();
  let answer: { token?: unknown; url?: unknown; orchestrators?: unknown; error?: unknown; hint?: unknown };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    answer = { error: text.slice(0, 200) };
  }
  if (!response.ok || typeof answer.token !== "string" || answer.url === undefined) {
    const reason =
      typeof answer.error === "string" && answer.error !== "" ? answer.error : `status ${response.status}`;
    throw new ChroomError(
      "no-token",
      `the page's back end gave no token: ${reason}`,
      typeof answer.hint === "string" ? answer.hint : hint,
    );
  }
  const urls = (Array.isArray(answer.url) ? answer.url : [answer.url]).filter(
    (url) => typeof url === "string",
  );
  return { token: answer.token, urls };
}
