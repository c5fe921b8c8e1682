import { expect, it } from "vitest";
import { splitter } from "./operations";

it("makes lines of pieces that end anywhere", () => {
  const split = splitter();
  expect(split('{"a":')).toEqual([]);
  expect(split('1}\n{"b":2}\n\n{"c"')).toEqual(['{"a":1}', '{"b":2}']);
  expect(split(":3}\n")).toEqual(['{"c":3}']);
});
