import { byId, h } from "../../shared/dom";

const SHOWN_MS = 6_000;
const MOST = 3;

/** Says something for a few seconds. The same text is not said twice at a time. */
export function toast(text: string, hint = ""): void {
  const place = byId("toasts");
  if ([...place.children].some((child) => (child as HTMLElement).dataset.text === text)) return;
  const element = h("div", { class: "toast", "data-text": text }, text, hint !== "" && h("small", {}, hint));
  place.append(element);
  while (place.childElementCount > MOST) place.firstElementChild?.remove();
  setTimeout(() => element.remove(), SHOWN_MS);
}
