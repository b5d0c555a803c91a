import { svg } from "../../shared/dom";

const PATHS = {
  microphone: [
    "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3Z",
    "M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3M9 21h6",
  ],
  microphoneOff: [
    "M9 9.5V12a3 3 0 0 0 4.6 2.5M15 11V6a3 3 0 0 0-5.8-1",
    "M5.5 11.5a6.5 6.5 0 0 0 10.2 5.3M18.5 11.5c0 .9-.2 1.7-.5 2.5M12 18v3M9 21h6M4 3l16 18",
  ],
  camera: [
    "M4 7.5h9a2 2 0 0 1 2 2v5a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2v-5a2 2 0 0 1 2-2Z",
    "m15 11 6-3.5v9L15 13",
  ],
  cameraOff: [
    "M7 7.5H4a2 2 0 0 0-2 2v5a2 2 0 0 0 2 2h9c.6 0 1.1-.3 1.5-.7M11 7.5h2a2 2 0 0 1 2 2v2",
    "m15 11 6-3.5v9l-4-2.3M3 3l17 18",
  ],
  screen: [
    "M4 4.5h16a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 15V6A1.5 1.5 0 0 1 4 4.5Z",
    "M8 20.5h8M12 13.5v-6m0 0L9.3 10M12 7.5l2.7 2.5",
  ],
  panel: [
    "M4 4.5h16a1.5 1.5 0 0 1 1.5 1.5v12a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 18V6A1.5 1.5 0 0 1 4 4.5Z",
    "M14.5 4.5v15M17.5 8.5h1M17.5 12h1",
  ],
  leave: [
    "M2.8 14.7c-.6-1.4-.3-2.9.9-3.8 4.9-3.7 11.7-3.7 16.6 0 1.2.9 1.5 2.4.9 3.8-.3.7-1.1 1.1-1.9.9l-2.7-.6c-.7-.2-1.2-.8-1.2-1.5v-1.6a11 11 0 0 0-6.8 0v1.6c0 .7-.5 1.3-1.2 1.5l-2.7.6c-.8.2-1.6-.2-1.9-.9Z",
  ],
  pin: ["M9 4h6l-1 6 3.5 3.5h-11L10 10 9 4Z", "M12 13.5V21"],
  send: ["M4 12 20 4.5 14.5 20l-3-6.5L4 12Z", "M11.5 13.5 20 4.5"],
} as const;

/** Name of an icon. */
export type Icon = keyof typeof PATHS;

/** An icon in the colour of the text around it. */
export function icon(name: Icon): SVGSVGElement {
  return svg(
    "svg",
    {
      viewBox: "0 0 24 24",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 1.8,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
      "aria-hidden": "true",
    },
    ...PATHS[name].map((d) => svg("path", { d })),
  );
}
