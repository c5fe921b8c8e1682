import { describe, expect, it } from "vitest";
import { lineDiff } from "./line-diff";

const shown = (before: string, after: string) =>
  lineDiff(before, after).map(
    (line) => ({ same: " ", added: "+", removed: "-" })[line.kind] + line.text,
  );

describe("two texts", () => {
  it("that are the same have no differences", () => {
    expect(shown("a\nb\n", "a\nb\n")).toEqual([" a", " b"]);
    expect(shown("", "")).toEqual([]);
  });

  it("differ in the lines that differ, and in no others", () => {
    expect(shown("a\nb\nc\nd", "a\nx\nc\ny\nd")).toEqual([" a", "-b", "+x", " c", "+y", " d"]);
    expect(shown("a\nb", "a")).toEqual([" a", "-b"]);
    expect(shown("", "a")).toEqual(["+a"]);
  });
});
