import { describe, expect, it } from "vitest";
import { asCsv, asNdjson, COLUMNS, cell, fileName } from "./audit-export";
import type { Entry } from "./audit-queries";

const entry = {
  position: 7,
  reason: '=HYPERLINK("http://evil","x")',
  target: "a, b",
  approver: ["user:ada", "user:bo"],
  changes_made: { url: ["a", "b"] },
  success: true,
} as unknown as Entry;

describe("a cell", () => {
  it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "|calc", "%0A"])(
    "that begins as a formula is kept text: %j",
    (text) => {
      expect(cell(text).replace(/^"/, "").startsWith("'")).toBe(true);
    },
  );

  it.each([
    ["plain", "plain"],
    ["a, b", '"a, b"'],
    ['say "so"', '"say ""so"""'],
    ["two\nlines", '"two\nlines"'],
    [-5, "-5"],
    [null, ""],
    [["a", "b"], "a b"],
  ])("%j is written as %s", (value, text) => {
    expect(cell(value)).toBe(text);
  });
});

it("has a line for each entry below the names of the columns", () => {
  const [head, row, end] = asCsv([entry]).split("\r\n");
  expect(head).toBe(COLUMNS.join(","));
  expect(row).toContain(`"'=HYPERLINK(""http://evil"",""x"")"`);
  expect(end).toBe("");
});

it("writes JSON line by line as it is", () => {
  expect(JSON.parse(asNdjson([entry]).trim())).toEqual(entry);
});

it("is named after the moment", () => {
  expect(fileName("csv", new Date("2026-11-21T00:12:34Z"))).toBe(
    "helios-audit-2026-11-21T0012.csv",
  );
});
