/** An axis of time: pure geometry. */

const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
  300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
  604_800_000,
];

/** Where an instant lies between two places; one instant alone lies in the middle. */
export function scale(
  from: number,
  to: number,
  left: number,
  right: number,
): (at: number) => number {
  if (to <= from) return () => (left + right) / 2;
  return (at) => left + ((at - from) / (to - from)) * (right - left);
}

/** Instants to write at the axis: the first one, then round distances from it. */
export function ticks(from: number, to: number, most = 6): number[] {
  const step = STEPS_MS.find((each) => (to - from) / each <= most) ?? STEPS_MS.at(-1) ?? 1;
  const found: number[] = [];
  for (let at = from; at <= to && found.length <= most; at += step) found.push(at);
  return found;
}
