import { describe, expect, it } from "vitest";
import { parseFilter } from "@/lib/filter";
import { eventMatches } from "./event-fields";

const EVENT = {
  position: 7,
  event_id: "e1",
  source: "aws",
  eventType: "OrderPlaced",
  version: 1,
  client_id: "acme",
  aggregate: { type: "order", id: "ORD-1" },
  sequence: 1,
  occurred_at: "2026-11-20T12:00:00Z",
  recorded_at: "2026-11-20T12:00:00Z",
  actor: "service:shop",
  correlation_id: null,
  causation_id: null,
  payload: { status: "PAID", total: 12, items: [{ sku: "A" }] },
  metadata: {},
};

describe("a live event is kept as the server would find it", () => {
  it.each([
    ["type:Order*", true],
    ["eventType:OrderPlaced", true],
    ["about:order key:ORD-1", true],
    ["tenant:acme -source:gcp", true],
    ["status:PAID", true],
    ["payload.total>10", true],
    ["payload.items.0.sku:A", true],
    ["payload.items:A", false],
    ["correlation:x", false],
    ["position:1..7", true],
    ["nothing-of-it", false],
    ['"ORD-1"', true],
  ])("%s: %s", (text, expected) => {
    expect(eventMatches(EVENT, parseFilter(text))).toBe(expected);
  });
});
