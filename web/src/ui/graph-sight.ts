/** How a graph is looked at: what is in the frame, and how large. */

import type { Placed, Size } from "./graph-layout";

/** A point p of the graph is seen at p × scale + (x, y), in pixels of the frame. */
export interface Camera {
  x: number;
  y: number;
  scale: number;
}

interface Extent extends Size {
  left: number;
  top: number;
}

const SCALE_MIN = 0.2;
const SCALE_MAX = 2;
const MARGIN = 24;
const TIP = 7;

/** The rectangle around all boxes. */
export function extent(places: readonly Placed[], box: Size): Extent {
  if (places.length === 0) return { left: 0, top: 0, ...box };
  const left = Math.min(...places.map((at) => at.x));
  const top = Math.min(...places.map((at) => at.y));
  const right = Math.max(...places.map((at) => at.x)) + box.width;
  const bottom = Math.max(...places.map((at) => at.y)) + box.height;
  return { left, top, width: right - left, height: bottom - top };
}

/** All of it in the middle of the frame, never larger than life. */
export function fitted(whole: Extent, frame: Size): Camera {
  const room = { width: frame.width - 2 * MARGIN, height: frame.height - 2 * MARGIN };
  const scale = bounded(Math.min(1, room.width / whole.width, room.height / whole.height));
  return {
    x: (frame.width - whole.width * scale) / 2 - whole.left * scale,
    y: (frame.height - whole.height * scale) / 2 - whole.top * scale,
    scale,
  };
}

/** Nearer or further, with the point of the frame that is looked at staying where it is. */
export function zoomed(camera: Camera, by: number, about: Placed): Camera {
  const scale = bounded(camera.scale * by);
  const change = scale / camera.scale;
  return {
    x: about.x - (about.x - camera.x) * change,
    y: about.y - (about.y - camera.y) * change,
    scale,
  };
}

export function moved(camera: Camera, x: number, y: number): Camera {
  return { ...camera, x: camera.x + x, y: camera.y + y };
}

/** The curve from the right side of one box to the left side of another, with its tip. */
export function line(from: Placed, to: Placed, box: Size) {
  const start = { x: from.x + box.width, y: from.y + box.height / 2 };
  const end = { x: to.x, y: to.y + box.height / 2 };
  const bend = Math.max(30, Math.abs(end.x - start.x) / 2);
  const path =
    `M${start.x},${start.y} C${start.x + bend},${start.y} ` +
    `${end.x - bend},${end.y} ${end.x - TIP},${end.y}`;
  const tip = `M${end.x},${end.y} l${-TIP},${-TIP / 2} v${TIP} z`;
  return { path, tip, middle: { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 - 4 } };
}

function bounded(scale: number): number {
  return Math.min(SCALE_MAX, Math.max(SCALE_MIN, scale));
}
