import { expect, it } from "vitest";
import { LiveBuffer } from "./live-buffer";

it("shows nothing before it is told to, and counts exactly", () => {
  const buffer = new LiveBuffer<number>();
  buffer.push([1, 2]);
  buffer.push([3]);
  expect([buffer.items.length, buffer.pending, buffer.seen]).toEqual([0, 3, 3]);
  expect(buffer.flush()).toBe(true);
  expect([buffer.items, buffer.pending, buffer.seen]).toEqual([[1, 2, 3], 0, 3]);
  expect(buffer.flush()).toBe(false);
});

it("keeps the newest and goes on counting what it drops", () => {
  const buffer = new LiveBuffer<number>(3);
  for (let each = 1; each <= 10; each++) buffer.push([each]);
  expect(buffer.pending).toBe(10);
  buffer.flush();
  expect(buffer.items).toEqual([8, 9, 10]);
  buffer.push([11, 12]);
  buffer.flush();
  expect(buffer.items).toEqual([10, 11, 12]);
  expect(buffer.seen).toBe(12);
});

it("gives the same list until something new is shown", () => {
  const buffer = new LiveBuffer<number>();
  buffer.push([1]);
  buffer.flush();
  const before = buffer.items;
  buffer.push([2]);
  expect(buffer.items).toBe(before);
});
