import { expect, it } from "vitest";
import { printed } from "./printed";

it.each([
  ['{"a":{"b":1}}', '{\n  "a": {\n    "b": 1\n  }\n}\n'],
  ["kind: Source\n", "kind: Source\n"],
  ["{a: 1, b: 2}", "{a: 1, b: 2}"],
  ['{\n "a": 1}\n', '{\n "a": 1}\n'],
  ["", ""],
])("a document is printed for people: %j", (text, shown) => {
  expect(printed(text)).toBe(shown);
});
