/** Bit rate with a fitting unit. */
export function bitRate(kbps: number): string {
  if (kbps >= 1_000_000) return `${(kbps / 1_000_000).toFixed(1)} Gb/s`;
  if (kbps >= 1_000) return `${(kbps / 1_000).toFixed(kbps >= 10_000 ? 0 : 1)} Mb/s`;
  return `${Math.round(kbps)} kb/s`;
}

/** Parts of one as per cent. */
export function percent(share: number, digits = 0): string {
  return `${(share * 100).toFixed(digits)} %`;
}

/** `0x12345678…9abc` of a node id. */
export function shortId(id: string): string {
  return id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}

/** Decimals of a CHR: amounts travel as whole numbers of its smallest unit. */
const DECIMALS = 12;

/** An amount in the smallest unit as CHR, thousands separated, with at most four decimals. */
export function chr(amount: string): string {
  const digits = amount.replace(/\D/g, "").padStart(DECIMALS + 1, "0");
  const whole = digits.slice(0, -DECIMALS).replace(/^0+(?=\d)/, "");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const kept = digits.slice(-DECIMALS).slice(0, 4).replace(/0+$/, "");
  return `${grouped}${kept === "" ? "" : `.${kept}`} CHR`;
}

/** Minutes and seconds, with hours from one on. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor((seconds % 3600) / 60))}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** Good, fair or bad, for a score of 0 to 100. */
export function grade(score: number | null): "good" | "fair" | "bad" | "" {
  if (score === null) return "";
  return score >= 80 ? "good" : score >= 40 ? "fair" : "bad";
}
