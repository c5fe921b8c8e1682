import { describe, expect, it } from "vitest";
import {
  ago,
  bytes,
  clockTime,
  dateTime,
  duration,
  middle,
  money,
  offset,
  percent,
  rate,
} from "./format";

describe("formats", () => {
  it.each([
    [0, "0 s"],
    [0.000_25, "250 µs"],
    [0.0125, "13 ms"],
    [0.9996, "1.0 s"],
    [1.25, "1.3 s"],
    [42, "42 s"],
    [59.6, "1 min"],
    [125, "2 min 5 s"],
    [3600, "1 h"],
    [90_061, "1 d 1 h"],
    [-5, "−5.0 s"],
  ])("%d s is %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it("never rounds what is wrong away", () => {
    expect(percent(0.999_99)).toBe("99.9 %");
    expect(percent(1)).toBe("100 %");
    expect(percent(0.5)).toBe("50.0 %");
    expect(percent(0)).toBe("0 %");
  });

  it("tells ages in one unit", () => {
    const now = new Date("2026-11-20T12:00:00Z");
    expect(ago(new Date("2026-11-20T11:59:59.5Z"), now)).toBe("now");
    expect(ago(new Date("2026-11-20T11:58:10Z"), now)).toBe("1 min ago");
    expect(ago(new Date("2026-11-17T11:00:00Z"), now)).toBe("3 d ago");
    expect(ago(new Date("2026-11-20T12:05:00Z"), now)).toBe("in 5 min");
  });

  it("shows instants in the zone that is asked for", () => {
    const at = new Date("2026-01-02T03:04:05.006Z");
    expect(clockTime(at, "utc")).toBe("03:04:05.006");
    expect(dateTime(at, "utc")).toBe("2026-01-02 03:04:05.006 UTC");
  });

  it.each([
    [0, "UTC"],
    [-330, "UTC+05:30"],
    [180, "UTC−03:00"],
  ])("names a zone %s minutes behind UTC", (behind, name) => {
    const at = Object.assign(new Date(0), { getTimezoneOffset: () => behind });
    expect([offset(at, "local"), offset(at, "utc")]).toEqual([name, "UTC"]);
  });

  it("shows sizes, rates, money and long ids", () => {
    expect([bytes(512), bytes(2048), bytes(5 << 20)]).toEqual(["512 B", "2.0 KiB", "5.0 MiB"]);
    expect([rate(0), rate(0.01), rate(2.5), rate(25)]).toEqual([
      "0/s",
      "0.60/min",
      "2.5/s",
      "25/s",
    ]);
    expect(money(12.5, "EUR")).toBe("12.50 EUR");
    expect(middle("abcdefghijklmnopqrstuvwxyz", 9)).toBe("abcd…wxyz");
    expect(middle("short", 9)).toBe("short");
  });
});
