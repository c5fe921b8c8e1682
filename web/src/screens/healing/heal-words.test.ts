import { describe, expect, it } from "vitest";
import { buckets, type Guards, howOf, joined } from "./heal-words";

describe("guards of several clients", () => {
  it("tell what holds for all once, and of the rest whose it is", () => {
    const of = (client_id: string): Guards =>
      ({
        client_id,
        breakers: [{ scope: `stack:${client_id}`, for_all: false }],
        fuses: [],
        kill_switches: [{ reason: "x", for_all: true }],
        suspensions: [],
        windows: [],
        heals_last_hour: 2,
      }) as unknown as Guards;
    const made = joined([of("a"), of("b")]);
    expect(made.kill_switches.map((each) => each.client)).toEqual([null]);
    expect(made.breakers.map((each) => each.client)).toEqual(["a", "b"]);
    expect(made.heals_last_hour).toBe(4);
  });
});

describe("heals", () => {
  it("are counted over time, the failed ones too", () => {
    const heal = (second: number, status: string) =>
      ({ started_at: `2026-01-01T00:00:0${second}Z`, status }) as never;
    const made = buckets(
      [heal(0, "succeeded"), heal(1, "failed"), heal(9, "succeeded")],
      new Date("2026-01-01T00:00:10Z"),
      2,
    );
    expect(made.map((each) => [each.count, each.failed])).toEqual([
      [2, 1],
      [1, 0],
    ]);
    expect(buckets([], new Date(), 5)).toEqual([]);
  });

  it("are each within the bounds of the bar that counts them", () => {
    const times = [0, 1, 333, 334, 999, 1000].map((ms) => new Date(1_700_000_000_000 + ms));
    const heals = times.map((at) => ({ started_at: at.toISOString(), status: "succeeded" }));
    for (const parts of [1, 3, 7, 48]) {
      const made = buckets(heals as never, new Date(1_700_000_001_000), parts);
      const within = made.map(
        ({ start, end }) =>
          times.filter((at) => at >= new Date(start) && at < new Date(end)).length,
      );
      expect(made.map((each) => each.count)).toEqual(within);
      expect(within.reduce((sum, each) => sum + each, 0)).toBe(6);
    }
  });

  it("come about by themselves, by agreement, or by hand", () => {
    expect(howOf({ approved_by: [], manual: false })).toBe("self");
    expect(howOf({ approved_by: ["user:ada"], manual: true })).toBe("approved");
    expect(howOf({ approved_by: [], manual: true })).toBe("manual");
  });
});
