import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { origin: "http://helios", href: "http://helios/" });
const { homeOf, may, missing } = await import("./me");
const { csrfOf } = await import("./session");
const { ApiError, report } = await import("./problem");

const who = (role: string, tenant = "*", environment = "*") =>
  ({
    kind: "user",
    name: "a",
    grants: [{ role, tenant, environment }],
    tenants: [tenant],
  }) as never;

describe("permissions", () => {
  it.each([
    ["viewer", "read", true],
    ["viewer", "operate", false],
    ["operator", "operate", true],
    ["operator", "approve", false],
    ["approver", "approve", true],
    ["approver", "operate", false],
    ["admin", "administer", true],
  ] as const)("a %s may %s: %s", (role, permission, expected) => {
    expect(may(who(role), permission, "acme")).toBe(expected);
  });

  it("end at the tenant and at the environment", () => {
    expect(may(who("admin", "acme"), "operate", "bolt")).toBe(false);
    expect(may(who("admin", "acme"), "operate")).toBe(false);
    expect(may(who("operator", "acme", "staging"), "operate", "acme", "production")).toBe(false);
    expect(may(who("operator", "acme", "staging"), "read", "acme", "production")).toBe(true);
  });

  it("that are missing are named", () => {
    expect(missing("operate", "acme")).toBe("Needs the role operator or admin for client acme");
  });
});

describe("a session", () => {
  it("finds its proof under either name", () => {
    expect(csrfOf("a=1; helios_csrf=abc")).toBe("abc");
    expect(csrfOf("__Host-helios_csrf=xyz; b=2")).toBe("xyz");
    expect(csrfOf("helios_csrf=neighbours; __Host-helios_csrf=xyz")).toBe("xyz");
    expect(csrfOf("other_helios_csrf=no")).toBeUndefined();
  });

  it("reports problems with all that helps and nothing else", () => {
    const error = new ApiError(409, { title: "T", detail: "D", code: "conflict" }, "PUT /x", "c1");
    const text = report(error, "http://helios/events", new Date(0));
    expect(text).toContain("409 conflict");
    expect(text).toContain("correlation: c1");
    expect(text).toContain("request: PUT /x");
  });
});

it("lets everything be done where access is switched off", () => {
  const anybody = { kind: "local", name: "anonymous", grants: [], tenants: ["*"] };
  expect(may(anybody, "administer")).toBe(true);
});

it("names a client of those that somebody has where none was chosen", () => {
  expect(homeOf(who("viewer", "acme"), undefined)).toBe("acme");
  expect(homeOf(who("viewer", "acme"), "bolt")).toBe("bolt");
  expect(homeOf(who("admin"), undefined)).toBeUndefined();
});
