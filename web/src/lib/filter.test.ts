import { describe, expect, it } from "vitest";
import {
  counted,
  formatFilter,
  matches,
  matching,
  parseFilter,
  quote,
  toggle,
  toggleText,
  unquote,
  valuesOf,
} from "./filter";

const seen = { type: "order.placed", status: "failed", total: 120, client: "acme", position: 150 };
const holds = (text: string) =>
  matches(
    parseFilter(text),
    (key) => seen[key as keyof typeof seen],
    () => JSON.stringify(seen),
  );

describe("a filter", () => {
  it("reads words with keys, operators, several values and a minus", () => {
    expect(
      parseFilter("type:order.* -status:failed,late age<1h payload.total>=100 timeout"),
    ).toEqual([
      { key: "type", op: ":", values: ["order.*"], negated: false },
      { key: "status", op: ":", values: ["failed", "late"], negated: true },
      { key: "age", op: "<", values: ["1h"], negated: false },
      { key: "payload.total", op: ">=", values: ["100"], negated: false },
      { key: "", op: ":", values: ["timeout"], negated: false },
    ]);
  });

  it.each([
    "type:order.*",
    '-key:"a b","c,d"',
    '"free text" age<1h',
    "position:100..200",
    'payload.name:"say \\"hi\\""',
  ])("is written as it was read: %s", (text) => {
    expect(formatFilter(parseFilter(text))).toBe(text);
  });

  it("looks for what it cannot read as text, so that nothing typed is lost", () => {
    expect(parseFilter('a"b')).toEqual([{ key: "", op: ":", values: ['"a\\"b"'], negated: false }]);
    expect(unquote('"a\\"b"')).toBe('a"b');
  });

  it("quotes what would be read otherwise, and only that", () => {
    expect(quote("order.placed")).toBe("order.placed");
    for (const text of ["a b", "a,b", "5*", "a:b", "-x", "1..2", 'a"b', ""])
      expect(unquote(quote(text))).toBe(text);
    expect(quote("5*")).toBe('"5*"');
  });

  it("switches a value on and off, and the last one takes the word with it", () => {
    const one = toggle([], "type", "a");
    const two = toggle(one, "type", "b c");
    expect(formatFilter(two)).toBe('type:a,"b c"');
    expect(valuesOf(two, "type")).toEqual(["a", "b c"]);
    expect(toggle(one, "type", "a")).toEqual([]);
    expect(toggleText("-type:a", "type", "a")).toBe("-type:a type:a");
  });

  it.each([
    ["type:order.*", true],
    ["type:ORDER.placed", true],
    ["type:order", false],
    ['type:"order.*"', false],
    ["-type:order.*", false],
    ["total>100 total<=120", true],
    ["total>120", false],
    ["position:100..200", true],
    ["position:..149", false],
    ["position:150..", true],
    ["status:late,failed", true],
    ["absent:x", false],
    ["-absent:x", true],
    ["PLACED", true],
    ["-placed", false],
  ])("%s holds: %s", (text, expected) => {
    expect(holds(text)).toBe(expected);
  });
});

describe("rows", () => {
  const rows = [
    { name: "ada", roles: ["viewer", "operator"] },
    { name: "bob", roles: ["viewer"] },
    { name: "cyd", roles: [] },
  ];
  type Row = (typeof rows)[number];
  const found = (text: string) =>
    matching(
      rows,
      text,
      (row, key) => row[key as keyof Row],
      (row) => row.name,
    ).map((row) => row.name);

  it("match by any of the values that a field has", () => {
    expect(found("roles:operator")).toEqual(["ada"]);
    expect(found("roles:view*")).toEqual(["ada", "bob"]);
    expect(found("-roles:operator")).toEqual(["bob", "cyd"]);
    expect(found("c")).toEqual(["cyd"]);
  });

  it("are counted by a field, the most frequent first, then by name", () => {
    expect(counted(rows, (row) => row.roles)).toEqual([
      { value: "viewer", count: 2 },
      { value: "operator", count: 1 },
    ]);
    expect(counted(rows, (row) => row.name).map((each) => each.value)).toEqual([
      "ada",
      "bob",
      "cyd",
    ]);
    expect(counted(rows, () => undefined)).toEqual([]);
  });
});
