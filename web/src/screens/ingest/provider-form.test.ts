import { describe, expect, it } from "vitest";
import { attributeWords, documentOf, fields, titleOf, typedValue, yaml } from "./provider-form";

const OPTIONS = {
  $ref: "#/$defs/Options",
  $defs: {
    Options: {
      type: "object",
      required: ["queue_url"],
      properties: {
        wait_s: { type: "integer", default: 20 },
        region: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
        format: { enum: ["auto", "json"], default: "auto" },
        extract: { type: "object", default: {} },
        topics: { type: "array", default: [] },
        queue_url: { type: "string" },
        drafts: { type: "boolean", default: false },
      },
    },
  },
  description:
    "Settings.\n\nAttributes:\n    queue_url: of the queue.\n    wait_s: how long one call\n        waits.\n    topics, extract: where it stands.\n",
};

describe("the settings of a provider", () => {
  it("become fields, those that are needed first", () => {
    const made = fields({ options: OPTIONS } as never);
    expect(made.map((field) => [field.name, field.kind])).toEqual([
      ["queue_url", "text"],
      ["wait_s", "number"],
      ["region", "text"],
      ["format", "choice"],
      ["extract", "map"],
      ["topics", "list"],
      ["drafts", "flag"],
    ]);
    expect(made[0]).toMatchObject({ isNeeded: true, words: "of the queue." });
    expect(made[1]).toMatchObject({ usual: "20", words: "how long one call waits." });
    expect(made[3]?.choices).toEqual(["auto", "json"]);
    expect(made[4]?.words).toBe("where it stands.");
  });

  it.each([
    ["tolerance_s", "Tolerance, in seconds"],
    ["timestamp_header", "Timestamp header"],
    ["queue_url", "Queue URL"],
    ["ids", "IDs"],
    ["s", "S"],
  ])("are called as people read them: %s", (name, title) => {
    expect(titleOf(name)).toBe(title);
  });

  it("are none where there is no schema", () => {
    expect(fields({ options: null } as never)).toEqual([]);
    expect(attributeWords("Nothing to say.")).toEqual({});
  });
});

it.each([
  ["text", " a ", "a"],
  ["text", "", undefined],
  ["number", "2.5", 2.5],
  ["number", "much", "much"],
  ["flag", "true", true],
  ["list", "a, b\nc", ["a", "b", "c"]],
  ["map", "article=articles\nid: json:a.b", { article: "articles", id: "json:a.b" }],
  ["json", '{"a": 1}', { a: 1 }],
] as const)("a %s that is typed as %j is %j", (kind, typed, value) => {
  expect(typedValue(kind, typed)).toEqual(value);
});

it("quotes what YAML would read as something else", () => {
  expect(
    yaml({
      a: "on",
      b: "5m",
      c: "secret:shop",
      d: "https://x.y/z?q",
      e: 3,
      f: true,
      g: ["x", "1"],
    }),
  ).toBe('a: "on"\nb: "5m"\nc: secret:shop\nd: "https://x.y/z?q"\ne: 3\nf: true\ng: [x, "1"]\n');
});

it("makes a declaration of a form", () => {
  const text = documentOf(
    {
      name: "shop",
      client_id: "acme",
      description: "",
      provider: "aws-sqs",
      secrets: "secret:shop-2\nsecret:shop",
      credentials: "token=env:TOKEN",
      environment: "",
      every: "5m",
      options: { queue_url: "https://q", wait_s: "10", format: "" },
    },
    fields({ options: OPTIONS } as never),
  );
  expect(text).toBe(`apiVersion: helios.io/v1
kind: Source
metadata:
  name: shop
  client_id: acme
spec:
  provider: aws-sqs
  secrets: [secret:shop-2, secret:shop]
  credentials:
    token: env:TOKEN
  options:
    queue_url: https://q
    wait_s: 10
  poll:
    every: "5m"
`);
});
