/** Numbers, sizes and times as people read them. Pure: the clock and the zone are arguments. */

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });

export type Zone = "utc" | "local";

export function count(value: number): string {
  return whole.format(value);
}

export function short(value: number): string {
  return Math.abs(value) < 10_000 ? whole.format(value) : compact.format(value);
}

export function percent(share: number, digits = 1): string {
  // 99.97 % must not become 100.0 %: a rounded whole would hide what is wrong.
  const factor = 10 ** digits;
  const scaled = Math.round(share * 100 * factor) / factor;
  const honest = share < 1 && scaled === 100 ? 100 - 1 / factor : scaled;
  return `${honest.toFixed(honest === 100 || honest === 0 ? 0 : digits)} %`;
}

export function rate(perSecond: number): string {
  if (perSecond === 0) return "0/s";
  if (perSecond < 0.1) return `${(perSecond * 60).toFixed(perSecond * 60 < 1 ? 2 : 1)}/min`;
  return `${perSecond < 10 ? perSecond.toFixed(1) : short(perSecond)}/s`;
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${(size / 1024).toFixed(1)} KiB`;
  return `${(size / 1024 / 1024).toFixed(1)} MiB`;
}

/** A length of time: two units at most. */
export function duration(seconds: number): string {
  const sign = seconds < 0 ? "−" : "";
  const abs = Math.abs(seconds);
  if (abs === 0) return "0 s";
  if (abs < 0.001) return `${sign}${Math.round(abs * 1e6)} µs`;
  if (abs < 0.9995) return `${sign}${Math.round(abs * 1000)} ms`;
  if (abs < 9.95) return `${sign}${abs.toFixed(1)} s`;
  if (abs < 59.5) return `${sign}${Math.round(abs)} s`;
  const total = Math.round(abs);
  const parts: [number, string][] = [
    [Math.floor(total / 86_400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  const shown = parts.slice(first, first + 2).filter(([amount]) => amount > 0);
  return sign + shown.map(([amount, unit]) => `${amount} ${unit}`).join(" ");
}

/** How long ago, in one unit; the future is said as such. */
export function ago(then: Date, now: Date): string {
  const seconds = (now.getTime() - then.getTime()) / 1000;
  const abs = Math.abs(seconds);
  // The clock of the page ticks once a second: what has just come is not of the future.
  if (seconds > -2 && seconds < 1) return "now";
  const [amount, unit] =
    abs < 60
      ? [abs, "s"]
      : abs < 3600
        ? [abs / 60, "min"]
        : abs < 86_400
          ? [abs / 3600, "h"]
          : [abs / 86_400, "d"];
  const text = `${Math.floor(amount)} ${unit}`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, "0");
}

/** Parts of an instant in a zone: one place that knows of the getters. */
function parts(at: Date, zone: Zone) {
  return zone === "utc"
    ? {
        day: `${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())}`,
        clock: `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`,
        ms: pad(at.getUTCMilliseconds(), 3),
      }
    : {
        day: `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`,
        clock: `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`,
        ms: pad(at.getMilliseconds(), 3),
      };
}

export function clockTime(at: Date, zone: Zone): string {
  const { clock, ms } = parts(at, zone);
  return `${clock}.${ms}`;
}

export function dateTime(at: Date, zone: Zone): string {
  const { day, clock, ms } = parts(at, zone);
  return `${day} ${clock}.${ms}${zone === "utc" ? " UTC" : ""}`;
}

/** How far a zone is from UTC at an instant: `UTC+02:00`. */
export function offset(at: Date, zone: Zone): string {
  const minutes = zone === "utc" ? 0 : -at.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const abs = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${pad(Math.floor(abs / 60))}:${pad(abs % 60)}`;
}

/** Money as it was written: an amount keeps its digits, the currency stands behind. */
export function money(amount: number | string, currency?: string): string {
  const text = typeof amount === "number" ? amount.toFixed(2) : amount;
  return currency ? `${text} ${currency}` : text;
}

/** The ends of a long id, with the middle left out. */
export function middle(text: string, most = 18): string {
  if (text.length <= most) return text;
  const head = Math.ceil((most - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
}
