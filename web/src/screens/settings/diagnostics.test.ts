import { expect, it } from "vitest";
import { diagnostics } from "./diagnostics";
import type { Setting } from "./setting-words";

const fixed = (name: string, value: unknown) =>
  ({ name, value, hot: false, origin: "variable", scope: "installation", own: null }) as Setting;

it("tells how things are and names nobody", () => {
  const text = diagnostics({
    at: new Date(0),
    page: "",
    agent: "Firefox",
    window: "800 x 600",
    feed: "open",
    me: {
      kind: "user",
      name: "ada-lovelace",
      grants: [{ role: "admin", tenant: "acme-corp", environment: "*" }],
      tenants: ["acme-corp"],
    },
    status: { version: "1.2.3", head: 7, ready: false, lag_events: 0 },
    checks: [
      { name: "log", ok: true, detail: "writable", lag_events: null },
      { name: "source:acme-corp/cms", ok: false, detail: "waits", lag_events: null },
    ],
    views: [{ view: "builds", status: "live", lag_events: 3 }],
    settings: [fixed("database_url", "postgresql://ada:pw@db/helios"), fixed("log_format", "json")],
  });
  expect(text).toContain("Helios 1.2.3");
  expect(text).toContain("FAILED source 1: waits");
  expect(text).toContain("database_url: set");
  expect(text).toContain("log_format: json");
  for (const hidden of ["ada", "acme", "postgresql"]) expect(text).not.toContain(hidden);
});
