import { describe, expect, it } from "vitest";
import { problemsOf, readable } from "./places";

const BODY = readable(
  '[{"id":"a","data":{"qty":1}},{"id":"b","data":{"qty":"many","tags":["x","y"]},"meta":{"qty":2}}]',
);
const lineWith = (text: string, nth = 0): number =>
  BODY.split("\n")
    .map((line, index) => ({ line, at: index + 1 }))
    .filter(({ line }) => line.includes(text))[nth]?.at ?? -1;

describe("the fault of a dead letter is marked where it is", () => {
  it("by line and column", () => {
    expect(problemsOf("2:7: not strict JSON", "{\n")).toEqual([
      { line: 2, message: "not strict JSON" },
    ]);
  });

  it("by the path of a field, whatever envelope it came in", () => {
    const [found] = problemsOf('payload.qty: the value is not of type "integer"', BODY, 1);
    expect(found).toEqual({
      line: lineWith('"qty": "many"'),
      message: 'the value is not of type "integer"',
    });
  });

  it("by the longest end of the path", () => {
    expect(problemsOf("meta.qty: too small", BODY)[0]?.line).toBe(lineWith('"qty": 2'));
    expect(problemsOf("data.tags[1]: unknown", BODY)[0]?.line).toBe(lineWith('"y"'));
  });

  it("nowhere when the text does not name a place, or has none such", () => {
    expect(problemsOf("the id came before", BODY)).toEqual([]);
    expect(problemsOf("payload.colour: missing", BODY)).toEqual([]);
  });
});

it("a body that is no JSON is shown as it came", () => {
  expect(readable('{"a": ')).toBe('{"a": ');
});
