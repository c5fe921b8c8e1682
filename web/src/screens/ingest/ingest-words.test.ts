import { describe, expect, it } from "vitest";
import type { Event, Letter } from "./ingest-queries";
import { brokenAt, deliveries, kindOf, signatureFailures, stateOf } from "./ingest-words";

const event = (position: number): Event =>
  ({
    position,
    eventType: "OrderPlaced",
    event_id: `e${position}`,
    recorded_at: "2026-11-20T12:00:00Z",
    metadata: { verified_by: { scheme: "static_token", secret: "6015f2b6" } },
  }) as unknown as Event;
const letter = (position: number, reason: string): Letter =>
  ({
    position,
    id: `l${position}`,
    reason,
    detail: "qty is no number",
    event_type: null,
    event_id: null,
    recorded_at: "2026-11-20T12:00:01Z",
  }) as unknown as Letter;

describe("deliveries", () => {
  it("are events and dead letters together, newest first", () => {
    const made = deliveries([event(5), event(3)], [letter(4, "schema"), letter(1, "schema")], 3);
    expect(made.map((each) => [each.position, each.letter])).toEqual([
      [5, undefined],
      [4, "l4"],
      [1, "l1"],
    ]);
    expect(made[0]?.detail).toBe("static token, secret 6015f2b6");
  });

  it("end at the step that broke them", () => {
    const [made] = deliveries([], [letter(1, "schema")], 9);
    expect(made?.verdicts).toEqual({
      signature: "passed",
      read: "passed",
      schema: "failed",
      dedup: "none",
      append: "none",
    });
    expect(["conflict", "adapter_error"].map(brokenAt)).toEqual(["dedup", "read"]);
  });
});

it("counts what could not prove who sent it, and not what was too much", () => {
  expect(signatureFailures({ bad_signature: 2, stale_timestamp: 1, limited: 9 })).toBe(3);
});

it("says how events come, and what matters most of a state", () => {
  const source = { webhook: "/webhook/a", fetches: true, spec: { poll: null } } as never;
  expect(kindOf(source)).toBe("webhook + poll");
  expect(stateOf({ paused: true, status: { state: "running" } } as never)).toBe("paused");
});
