import { describe, expect, it } from "vitest";
import { compact, oneOf, parseSearch, stringifySearch, text } from "./url";

describe("the URL", () => {
  it("keeps text as text, numbers too", () => {
    expect(parseSearch("?sel=123&q=type%3Aorder")).toEqual({ sel: "123", q: "type:order" });
  });

  it("takes the first of what is given twice", () => {
    expect(parseSearch("?a=1&a=2")).toEqual({ a: "1" });
  });

  it.each([
    [{ q: "type:order.* -status:a,b", sel: "5" }],
    [{ q: 'name:"a & b" c=d' }],
    [{ q: "100 % + 1" }],
  ])("gives back what it was given: %j", (search) => {
    expect(parseSearch(stringifySearch(search))).toEqual(search);
  });

  it("leaves out what is empty and leaves a filter readable", () => {
    expect(stringifySearch({ q: "type:a,b", sel: undefined, tab: "" })).toBe("?q=type:a,b");
    expect(stringifySearch({})).toBe("");
  });

  it("drops what is not understood", () => {
    expect(oneOf({ tab: "evil" }, "tab", ["diff", "plan"])).toBeUndefined();
    expect(oneOf({ tab: "plan" }, "tab", ["diff", "plan"])).toBe("plan");
    expect(text({ q: 5 }, "q")).toBeUndefined();
    expect(text({ q: "abcdef" }, "q", 3)).toBe("abc");
    expect(compact({ a: undefined, b: 1 })).toEqual({ b: 1 });
  });
});
