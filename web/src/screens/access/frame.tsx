import type { ReactNode } from "react";
import { Mark } from "@/app/mark";

/** The pages before one is in. */
export function AccessFrame({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="w-full max-w-sm">
        <div className="mb-6 flex flex-col items-center gap-2 text-center">
          <Mark className="size-12" />
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          <p className="text-soft">Keeps declared facts true.</p>
        </div>
        <div className="rounded-xl border border-line bg-card p-5 shadow-card">{children}</div>
      </div>
    </main>
  );
}
