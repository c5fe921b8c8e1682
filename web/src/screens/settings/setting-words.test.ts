import { describe, expect, it } from "vitest";
import {
  asCommand,
  grouped,
  isChanged,
  keyOf,
  parsed,
  type Setting,
  shown,
  wrong,
} from "./setting-words";

function setting(change: Partial<Setting>): Setting {
  return {
    name: "alerts.per_minute_max",
    title: "Alerts",
    description: "",
    acts_on: "",
    kind: "integer",
    unit: "alerts",
    bounds: "a whole number from 1 to 1000",
    least: 1,
    most: 1000,
    choices: [],
    default: 20,
    value: 20,
    own: null,
    origin: "default",
    scope: "installation",
    scopes: ["installation"],
    client_id: null,
    hot: true,
    changed_at: null,
    changed_by: null,
    reason: null,
    etag: "0",
    ...change,
  } as Setting;
}

describe("a draft", () => {
  it.each([
    ["integer", "12", true],
    ["integer", "1.5", false],
    ["integer", "0", false],
    ["integer", "1e9", false],
    ["duration", "45s", true],
    ["duration", "1d12h", true],
    ["duration", "soon", false],
    ["switch", "true", true],
  ] as const)("of kind %s that is %s is taken: %s", (kind, draft, good) => {
    expect(wrong(setting({ kind }), draft) === undefined).toBe(good);
  });

  it("of a share is a percentage or a fraction", () => {
    const share = setting({ kind: "ratio", least: 0, most: 1 });
    expect(wrong(share, "1.5 %")).toBeUndefined();
    expect(wrong(share, "0.015")).toBeUndefined();
    expect(wrong(share, "150%")).toContain("Expected");
    expect(parsed(share, "1.5 %")).toBe("1.5%");
  });

  it("of a choice is one of the choices", () => {
    const choice = setting({ kind: "choice", choices: ["info", "error"] });
    expect(wrong(choice, "error")).toBeUndefined();
    expect(wrong(choice, "loud")).toContain("Expected");
  });
});

it("writes values as people do", () => {
  expect(shown({ kind: "ratio", unit: "share" }, 0.01)).toBe("1 %");
  expect(shown({ kind: "integer", unit: "events" }, 5000)).toBe("5,000 events");
  expect(shown({ kind: "duration", unit: "" }, "1h30m")).toBe("1 h 30 min");
  expect(shown({ kind: "duration", unit: "" }, "100ms")).toBe("100 ms");
  expect(shown({ kind: "duration", unit: "" }, "PT5M")).toBe("PT5M");
  expect(shown({ kind: "switch", unit: "" }, false)).toBe("off");
  expect(shown({ kind: "text", unit: "" }, null)).toBe("not set");
});

it("puts contracts after the installation and the start last", () => {
  const groups = grouped([
    setting({ name: "port", hot: false }),
    setting({ name: "contract.orders.within", scope: "contract", client_id: "acme" }),
    setting({ name: "feed.heartbeat" }),
    setting({ name: "healing.enabled" }),
  ]);
  expect(groups.map((group) => group.title)).toEqual([
    "Healing",
    "Live feed",
    "Contract orders",
    "Given at the start",
  ]);
});

it("calls a contract changed when it is not as declared", () => {
  const declared = { scope: "contract", own: "45s", value: "45s" } as const;
  expect(isChanged(setting({ ...declared, default: "45s" }))).toBe(false);
  expect(isChanged(setting({ ...declared, default: "30s" }))).toBe(true);
  expect(isChanged(setting({ own: 30 }))).toBe(true);
  expect(isChanged(setting({}))).toBe(false);
});

it("names a setting of a client apart from that of the installation", () => {
  expect(keyOf(setting({ scope: "client", client_id: "acme" }))).toBe("acme/alerts.per_minute_max");
  expect(keyOf(setting({}))).toBe("alerts.per_minute_max");
});

it("quotes what a shell would take apart", () => {
  expect(asCommand({ name: "content.ttl" }, "set", "acme", "2h", "it's late")).toBe(
    `helios config set content.ttl 2h --client-id acme --reason 'it'\\''s late'`,
  );
});
