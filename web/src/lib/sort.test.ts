import { describe, expect, it } from "vitest";
import { consoleSearch } from "@/app/console-search";
import { nextSort, type Sortable, sorted, sortState, timeOf } from "./sort";
import { parseSearch } from "./url";

interface Row {
  name: string;
  lag?: number | null;
  seen?: string | null;
}

const COLUMNS: readonly Sortable<Row>[] = [
  { id: "name", sort: (row) => row.name },
  { id: "lag", sort: (row) => row.lag },
  { id: "seen", sort: (row) => timeOf(row.seen) },
  { id: "note" },
];

const names = (rows: readonly Row[], sort: string | undefined) =>
  sorted(rows, COLUMNS, sort)
    .map((row) => row.name)
    .join(" ");

describe("sorting rows", () => {
  it("orders text as people read it, and numbers in it by their value", () => {
    const rows = ["site-10", "Zoo", "ärger", "site-9", "apfel"].map((name) => ({ name }));
    expect(names(rows, "name")).toBe("apfel ärger site-9 site-10 Zoo");
    expect(names(rows, "-name")).toBe("Zoo site-10 site-9 ärger apfel");
  });

  it("orders numbers by value, not as text", () => {
    const rows = [9, 1000, -3, 0].map((lag) => ({ name: String(lag), lag }));
    expect(names(rows, "lag")).toBe("-3 0 9 1000");
    expect(names(rows, "-lag")).toBe("1000 9 0 -3");
  });

  it("orders times by when they are, however they are written", () => {
    const rows = [
      { name: "later", seen: "2026-01-02T00:00:00.5+00:00" },
      { name: "first", seen: "2026-01-02T01:00:00+02:00" },
      { name: "between", seen: "2026-01-02T00:00:00Z" },
    ];
    expect(names(rows, "seen")).toBe("first between later");
  });

  it.each(["lag", "-lag"])(
    "leaves what is missing at the end, in the order it came: %s",
    (sort) => {
      const rows = [{ name: "b", lag: null }, { name: "a" }, { name: "nan", lag: Number.NaN }];
      expect(names([...rows, { name: "has", lag: 1 }], sort)).toBe("has b a nan");
    },
  );

  it("leaves times that are missing or cannot be read at the end, too", () => {
    const rows = [
      { name: "never", seen: null },
      { name: "nonsense", seen: "soon" },
      { name: "seen", seen: "2026-01-02T00:00:00Z" },
    ];
    expect(names(rows, "-seen")).toBe("seen never nonsense");
  });

  it.each(["lag", "-lag"])("leaves equal rows as they came: %s", (sort) => {
    const rows = ["c", "a", "b"].map((name) => ({ name, lag: 1 }));
    expect(names(rows, sort)).toBe("c a b");
  });

  it.each([undefined, "", "-", "other", "-other", "note", "--lag", "lag,name", "constructor"])(
    "gives rows as they came where there is nothing to sort by: %s",
    (sort) => {
      const rows = [
        { name: "b", lag: 2 },
        { name: "a", lag: 1 },
      ];
      expect(sorted(rows, COLUMNS, sort)).toBe(rows);
    },
  );

  it("does not change the rows that it was given", () => {
    const rows = Object.freeze([{ name: "b" }, { name: "a" }]);
    expect(names(rows, "name")).toBe("a b");
    expect(rows[0]?.name).toBe("b");
  });
});

describe("the sort of the URL", () => {
  it("goes up, down, and back to as it came; another column begins upwards", () => {
    expect(nextSort(undefined, "lag")).toBe("lag");
    expect(nextSort("lag", "lag")).toBe("-lag");
    expect(nextSort("-lag", "lag")).toBeUndefined();
    expect(nextSort("-name", "lag")).toBe("lag");
    expect(nextSort("nonsense", "lag")).toBe("lag");
  });

  it("is said to those who do not see the arrow", () => {
    expect(sortState("lag", "lag")).toBe("ascending");
    expect(sortState("-lag", "lag")).toBe("descending");
    expect(sortState("lag", "name")).toBe("none");
    expect(sortState(undefined, "name")).toBe("none");
  });

  it("is read as it stands there, and only as text", () => {
    expect(consoleSearch(parseSearch("?sort=-lag&q=a"))).toEqual({ sort: "-lag" });
    expect(consoleSearch(parseSearch("?sort="))).toEqual({});
    expect(consoleSearch({ sort: ["lag"] })).toEqual({});
  });
});
