import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { origin: "http://helios", href: "http://helios/" });
const { covering, denied, equal, options, places, switched, written } = await import("./grants");

const grant = (role: string, tenant = "*", environment = "*") =>
  ({ role, tenant, environment }) as never;

describe("the matrix", () => {
  it("has a row for each place, everywhere first", () => {
    const found = places([grant("viewer", "bolt"), grant("admin"), grant("operator", "bolt")]);
    expect(found.map((each) => each.tenant)).toEqual(["*", "bolt"]);
  });

  it("switches one cell on and off again", () => {
    const place = { tenant: "acme", environment: "prod" };
    const on = switched([grant("viewer")], "operator", place);
    expect(on).toHaveLength(2);
    expect(switched(on, "operator", place)).toEqual([grant("viewer")]);
  });

  it("knows which cells another one makes needless", () => {
    const acme = { tenant: "acme", environment: "*" };
    expect(covering([grant("operator")], "operator", acme)).toBeTruthy();
    expect(covering([grant("approver", "acme", "prod")], "viewer", acme)).toBeTruthy();
    expect(covering([grant("operator", "acme", "prod")], "operator", acme)).toBeUndefined();
    expect(covering([grant("approver")], "operator", acme)).toBeUndefined();
  });
});

it("lets nobody give more than they have", () => {
  const me = { kind: "user", name: "a", grants: [grant("admin", "acme")], tenants: ["acme"] };
  expect(denied(me as never, { tenant: "acme", environment: "prod" })).toBeUndefined();
  expect(denied(me as never, { tenant: "*", environment: "*" })).toContain("all clients");
});

it("writes grants as the command line does", () => {
  expect(
    [grant("admin"), grant("viewer", "acme"), grant("operator", "acme", "prod")].map(written),
  ).toEqual(["admin", "viewer@acme", "operator@acme/prod"]);
  expect(options([grant("viewer", "*", "prod")])).toBe("--grant 'viewer@*/prod'");
});

it("does not mind the order", () => {
  expect(equal([grant("admin"), grant("viewer")], [grant("viewer"), grant("admin")])).toBe(true);
});
