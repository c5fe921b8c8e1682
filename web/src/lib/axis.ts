/** An axis of time: pure geometry. */

const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
  300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
  604_800_000,
];

/** Instants to write at the axis: the first one, then round distances from it. */
export function ticks(from: number, to: number, most = 6): number[] {
  const step = STEPS_MS.find((each) => (to - from) / each <= most) ?? STEPS_MS.at(-1) ?? 1;
  const found: number[] = [];
  for (let at = from; at <= to && found.length <= most; at += step) found.push(at);
  return found;
}

/** A part of an axis: real time, or idle time that is drawn short. */
export interface Stretch {
  from: number;
  to: number;
  left: number;
  right: number;
  isFolded: boolean;
}

/** Idle time that takes more than this share of what is drawn is folded. */
const FOLD_SHARE = 0.4;
const FOLD_PX = 44;

/**
 * An axis on which long idle times between instants are drawn short.
 *
 * @param instants what happens, in any order; between two neighbours nothing does.
 */
export function foldedAxis(
  instants: readonly number[],
  left: number,
  right: number,
  fold = true,
): readonly Stretch[] {
  const at = [...new Set(instants)].sort((one, other) => one - other);
  const gaps = at.slice(1).map((to, index) => ({ from: at[index] ?? to, to }));
  const folded = fold ? longGaps(gaps.map((gap) => gap.to - gap.from)) : new Set<number>();
  const spread = right - left - folded.size * FOLD_PX;
  const total = gaps.reduce((sum, gap, n) => sum + (folded.has(n) ? 0 : gap.to - gap.from), 0);
  let x = left;
  const found: Stretch[] = [];
  for (const [n, gap] of gaps.entries()) {
    const isFolded = folded.has(n);
    const width = isFolded ? FOLD_PX : total > 0 ? ((gap.to - gap.from) / total) * spread : 0;
    const last = found.at(-1);
    // What is not folded is one stretch, so that ticks go on over its instants.
    if (last && !last.isFolded && !isFolded) {
      last.to = gap.to;
      last.right = x + width;
    } else found.push({ ...gap, left: x, right: x + width, isFolded });
    x += width;
  }
  return found;
}

/** Numbers of the gaps to fold: the longest, as long as it dominates what is left. */
function longGaps(lengths: readonly number[]): Set<number> {
  const folded = new Set<number>();
  for (;;) {
    const left = lengths.map((length, n) => ({ length, n })).filter(({ n }) => !folded.has(n));
    const total = left.reduce((sum, gap) => sum + gap.length, 0);
    const longest = left.reduce((most, gap) => (gap.length > most.length ? gap : most), {
      length: 0,
      n: -1,
    });
    if (left.length < 3 || longest.length <= FOLD_SHARE * total) return folded;
    // A gap is long only beside what happens; two instants far apart are what there is.
    if (longest.length < 4 * (total - longest.length)) return folded;
    folded.add(longest.n);
  }
}

/** Where an instant lies on such an axis; what is outside lies at its ends. */
export function placeOn(axis: readonly Stretch[], left: number, right: number) {
  return (at: number): number => {
    const first = axis[0];
    const last = axis.at(-1);
    if (!first || !last) return (left + right) / 2;
    if (at <= first.from) return first.left;
    const stretch = axis.find((each) => at <= each.to) ?? last;
    const share = Math.min(1, (at - stretch.from) / (stretch.to - stretch.from || 1));
    return stretch.left + share * (stretch.right - stretch.left);
  };
}
