import { expect, it } from "vitest";
import { safeBack } from "./back";

const ORIGIN = "https://helios.example";

it.each([
  ["/events?q=type:order.*#top", "/events?q=type:order.*#top"],
  ["/", "/"],
  [undefined, "/"],
  ["", "/"],
  ["https://evil.example/", "/"],
  ["//evil.example/", "/"],
  ["/\\evil.example/", "/"],
  ["/\t/evil.example/", "/"],
  ["/\n\\evil.example", "/"],
  ["/.//evil.example/", "/"],
  ["/x/..//evil.example/", "/"],
  ["/%2e//evil.example/", "/"],
  ["javascript:alert(1)", "/"],
  ["/sign-in?back=/sign-in", "/"],
  ["/link", "/"],
])("%j leads to %s", (back, to) => {
  expect(safeBack(back, ORIGIN)).toBe(to);
});
