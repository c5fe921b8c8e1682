/** Lays a graph out in a worker: dagre needs a third of a second for 200 nodes. */

export interface Placed {
  x: number;
  y: number;
}

export interface LayoutAsk {
  ids: string[];
  pairs: [string, string][];
  size: { width: number; height: number };
}

/** Gives the places when they are known; what is returned stops waiting for them. */
export function layOut(
  ids: string[],
  pairs: [string, string][],
  size: LayoutAsk["size"],
  done: (places: ReadonlyMap<string, Placed>) => void,
): () => void {
  const worker = new Worker(new URL("./graph-worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = (message: MessageEvent<[string, Placed][]>) => {
    done(new Map(message.data));
    worker.terminate();
  };
  worker.postMessage({ ids, pairs, size } satisfies LayoutAsk);
  return () => worker.terminate();
}
