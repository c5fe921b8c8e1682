import { describe, expect, it, vi } from "vitest";
import { itemKey, itemOf, linesOf, linesWith, pieces, reasonWords, stateOf } from "./build-words";

vi.stubGlobal("location", { origin: "http://helios", href: "http://helios/" });
const { contentAsked } = await import("./builds-queries");
const { parseFilter } = await import("@/lib/filter");

describe("a log", () => {
  it("is read in lines, without what a terminal would do", () => {
    expect(linesOf("\u001b[32mok\u001b[0m\r\ntwo\rthree\n")).toEqual(["ok", "two", "three"]);
    expect(linesOf("")).toEqual([]);
    expect(linesOf("no end")).toEqual(["no end"]);
  });

  it("is searched whatever the case", () => {
    expect(linesWith(["Error: x", "fine", "an ERROR"], "error")).toEqual([0, 2]);
    expect(linesWith(["a"], "  ")).toEqual([]);
  });

  it("marks what matches in a line", () => {
    expect(pieces("an Error, error", "error")).toEqual([
      { text: "an ", isMatch: false },
      { text: "Error", isMatch: true },
      { text: ", ", isMatch: false },
      { text: "error", isMatch: true },
    ]);
    expect(
      pieces("İ error", "error")
        .map((each) => each.text)
        .join(""),
    ).toBe("İ error");
  });
});

it("keeps what a content is called, whatever is in its name", () => {
  const item = { source: "cms", type: "a/b", id: "x y%", locale: null };
  expect(itemOf(itemKey(item))).toEqual({ ...item, locale: "" });
});

it("asks the server for what it can look for", () => {
  const asked = contentAsked(parseFilter("source:cms,shop type:article stage:draft kettle"));
  expect(asked).toMatchObject({ source: "cms,shop", type: "article", stage: "draft" });
});

it("says why a build was begun, and how a site stands", () => {
  expect(reasonWords({ reason: "retry", attempt: 2 })).toBe("tried again, try 2");
  expect(stateOf("gave_up")).toEqual(["gave up", "bad"]);
});
