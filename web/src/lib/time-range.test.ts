import { describe, expect, it } from "vitest";
import {
  bounds,
  fromSearch,
  isLive,
  parseRange,
  rangeSearch,
  rangeText,
  toSearch,
} from "./time-range";

const NOW = new Date("2026-11-20T12:00:00Z");
const FROM = "2026-11-20T10:00:00.000Z";
const TO = "2026-11-20T11:00:00.000Z";

describe("a time range", () => {
  it("is live when nothing is said", () => {
    expect(isLive(fromSearch({}))).toBe(true);
    expect(toSearch(fromSearch({}))).toEqual({});
  });

  it.each(["15m", "1h", "24h"] as const)("%s ends now", (t) => {
    const range = fromSearch(rangeSearch({ t }));
    const found = bounds(range, NOW);
    expect(found.to).toEqual(NOW);
    expect(toSearch(range)).toEqual({ t });
  });

  it("has bounds of its own", () => {
    const range = fromSearch(rangeSearch({ from: FROM, to: TO, t: "1h" }));
    expect(bounds(range, NOW)).toEqual({ from: new Date(FROM), to: new Date(TO) });
    expect(toSearch(range)).toEqual({ from: FROM, to: TO });
  });

  it.each([
    { t: "2h" },
    { from: FROM },
    { from: TO, to: FROM },
    { from: "yesterday", to: TO },
    { t: 5 },
  ])("drops what is malformed: %j", (search) => {
    expect(rangeSearch(search)).toEqual({});
  });

  it("can be copied and pasted", () => {
    for (const search of [{ t: "24h" } as const, { from: FROM, to: TO }, {}]) {
      const range = fromSearch(search);
      expect(parseRange(rangeText(range))).toEqual(range);
    }
    expect(parseRange("nonsense")).toBeUndefined();
    expect(parseRange(`${TO}/${FROM}`)).toBeUndefined();
  });
});
