import { describe, expect, it } from "vitest";
import type { Rates, Verdict } from "./streams-queries";
import { brokenRules, brokenText, fromRowKey, rateTone, rowKey, sums } from "./verdict-words";

const VERDICT = {
  id: "orders/A 1/1",
  client_id: "acme",
  contract: "orders",
  key: "A/1 ü",
  validation_errors: {
    amount_mismatch: { expected: 12.5, actual: 12 },
    count: { rule_error: "no such field" },
  },
} as unknown as Verdict;

describe("a verdict in few words", () => {
  it("has both sides of a rule, or why it cannot be told", () => {
    expect(brokenRules(VERDICT).map(brokenText)).toEqual([
      "amount mismatch: expected 12.5, found 12",
      "count cannot be told: no such field",
    ]);
  });

  it("is found again by its row, whatever is in its key", () => {
    expect(fromRowKey(rowKey(VERDICT))).toEqual({
      clientId: "acme",
      contract: "orders",
      key: "A/1 ü",
    });
    expect(fromRowKey("%E0%A4%A")).toBeUndefined();
    expect(fromRowKey("acme")).toBeUndefined();
  });
});

describe("match rates", () => {
  it("are of all windows together", () => {
    const window = { start: "", match_rate: null };
    const windows = [
      { ...window, matched: 97, mismatched: 1, partial: 2 },
      { ...window, matched: 100, mismatched: 0, partial: 0 },
    ];
    expect(sums({ windows } as unknown as Rates)).toEqual({
      matched: 197,
      mismatched: 1,
      partial: 2,
      total: 200,
      rate: 0.985,
    });
    expect(sums(undefined).rate).toBeUndefined();
  });

  it("are good within what may not match, and bad at five times as much", () => {
    expect([0.995, 0.97, 0.9, undefined].map((rate) => rateTone(rate))).toEqual([
      "good",
      "warn",
      "bad",
      "unknown",
    ]);
  });
});
