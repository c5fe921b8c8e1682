import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { searchOf, sortOf, viewId, viewTo } from "./saved-views";

const WEB = join(import.meta.dirname, "..");

/** Names under which screens save views, as the sources have them. */
function screens(): string[] {
  const files = readdirSync(join(WEB, "screens"), { recursive: true, encoding: "utf8" });
  const text = files
    .filter((file) => file.endsWith(".tsx"))
    .map((file) => readFileSync(join(WEB, "screens", file), "utf8"))
    .join("\n");
  return [...text.matchAll(/\bscreen="([^"]+)"/g)].map((found) => found[1] ?? "");
}

describe("a saved view", () => {
  it("leads to a page that there is, whatever screen it is of", () => {
    const all = screens();
    expect(all).toContain("drifts");
    for (const screen of all) {
      const { to } = viewTo({ screen, filter: "" });
      const file = `${String(to).slice(1).replaceAll("/", ".")}`;
      const found = [".index.tsx", ".tsx"].some((end) =>
        existsSync(join(WEB, "routes", "_console", file + end)),
      );
      expect(found, `${screen} leads to ${to}`).toBe(true);
    }
  });

  it("takes its filter along, and the tab of its list", () => {
    expect(viewTo({ screen: "events", filter: "type:a" })).toEqual({
      to: "/events",
      search: { q: "type:a" },
    });
    expect(viewTo({ screen: "content", filter: "x" })).toEqual({
      to: "/builds",
      search: { q: "x", tab: "content" },
    });
  });

  it("takes along how its list was sorted, unless that is nonsense", () => {
    const view = { screen: "views", filter: "state:live" };
    expect(viewTo({ ...view, state: { sort: "-lag" } }).search).toEqual({
      q: "state:live",
      sort: "-lag",
    });
    expect(viewTo({ ...view, state: { sort: 5 } }).search).toEqual({ q: "state:live" });
    expect(sortOf({ state: {} })).toBeUndefined();
  });

  it("sets the range and the part that it was saved with, and leaves those that it does not name", () => {
    const view = { screen: "approvals", filter: "client:a" };
    expect(Object.keys(searchOf(view))).toEqual(["q", "sort"]);
    const hour = { ...view, state: { range: "1h", part: { status: "granted", sel: "x" } } };
    expect(viewTo(hour).search).toEqual({ q: "client:a", t: "1h", status: "granted" });
    const live = searchOf({ ...view, state: { range: "live", part: {} } });
    for (const name of ["t", "from", "to", "status", "tab"]) {
      expect(live).toHaveProperty(name);
      expect(live[name]).toBeUndefined();
    }
    const range = "2026-01-02T03:04:05.000Z/2026-01-02T04:04:05.000Z";
    expect(searchOf({ ...view, state: { range } })).toMatchObject({
      from: "2026-01-02T03:04:05.000Z",
      to: "2026-01-02T04:04:05.000Z",
    });
    expect(searchOf({ ...view, state: { range: "soon" } })).not.toHaveProperty("t");
  });

  it("has an id of its own for each name and person, in any script, and keeps it", () => {
    const ids = ["Заказы", "Ошибки", "A b", "A-b", "a b"].flatMap((title) =>
      ["ada", "olga"].map((person) => viewId("streams", title, person)),
    );
    expect(new Set(ids).size).toBe(10);
    for (const id of ids) expect(id).toMatch(/^[a-z0-9][a-z0-9_.-]{0,63}$/);
    expect(viewId("streams", "A b", "ada")).toBe(viewId("streams", "A b", "ada"));
  });
});
