import { describe, expect, it } from "vitest";
import { follow, SHORTCUTS, stepOf } from "./shortcuts";

const press = (
  key: string,
  held: Partial<Record<"ctrlKey" | "metaKey" | "altKey", boolean>> = {},
) => stepOf({ key, ctrlKey: false, metaKey: false, altKey: false, ...held });

/** Presses keys as a person does, and tells what came of it. */
function pressAll(keys: string) {
  let before: string | undefined;
  let id: string | undefined;
  for (const part of keys.split(" ")) {
    const step = part.startsWith("mod+") ? press(part.slice(4), { ctrlKey: true }) : press(part);
    const found = follow(before, step ?? "");
    before = found.remember;
    id = found.id;
  }
  return id;
}

describe("shortcuts", () => {
  it.each(SHORTCUTS.map((each) => [each.keys, each.id]))("%s does %s", (keys, id) => {
    expect(pressAll(keys)).toBe(id);
  });

  it("are all different, and none is the beginning of another", () => {
    const keys = SHORTCUTS.map((each) => each.keys as string);
    expect(new Set(keys).size).toBe(keys.length);
    for (const one of keys)
      expect(
        keys.some((other) => other.startsWith(`${one} `)),
        one,
      ).toBe(false);
  });

  it("forget a first step that leads nowhere", () => {
    expect(follow("g", "j")).toEqual({ id: "next" });
    expect(follow("g", "q")).toEqual({});
    expect(follow("g", "g")).toEqual({ remember: "g" });
  });

  it("leave the browser's own alone", () => {
    expect(press("f", { altKey: true })).toBeUndefined();
    expect(press("Shift")).toBeUndefined();
    expect(follow(undefined, press("r", { ctrlKey: true }) ?? "")).toEqual({});
  });
});
