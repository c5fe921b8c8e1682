/**
 * What came in between two looks of the reader: the newest items, and how many there were in all.
 *
 * Counters are exact though items beyond the bound are dropped. Pure: no clock, no network.
 */

const HELD_MAX = 2_000;

export class LiveBuffer<T> {
  private waiting: T[] = [];
  private shown: readonly T[] = [];
  private heldBack = 0;
  private total = 0;
  private dropped = 0;

  constructor(private readonly most = HELD_MAX) {}

  push(items: readonly T[]): void {
    this.total += items.length;
    this.heldBack += items.length;
    this.waiting.push(...items);
    if (this.waiting.length > this.most) {
      this.dropped += this.waiting.length - this.most;
      this.waiting = this.waiting.slice(-this.most);
    }
  }

  /** Show what has waited; oldest first, the newest at the end. Returns whether anything changed. */
  flush(): boolean {
    if (this.heldBack === 0) return false;
    const all = [...this.shown, ...this.waiting];
    this.shown = all.length > this.most ? all.slice(-this.most) : all;
    this.waiting = [];
    this.heldBack = 0;
    return true;
  }

  clear(): void {
    this.waiting = [];
    this.shown = [];
    this.heldBack = 0;
  }

  /** What the reader sees. */
  get items(): readonly T[] {
    return this.shown;
  }

  /** How many have come that the reader does not see yet. */
  get pending(): number {
    return this.heldBack;
  }

  /** How many have come in all. */
  get seen(): number {
    return this.total;
  }
}
