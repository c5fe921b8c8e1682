import { cx } from "@/lib/cx";

/** Keys as they are printed: `mod` is Command on a Mac and Ctrl elsewhere. */
function keyWords(keys: string): string[] {
  const isMac = navigator.platform.startsWith("Mac");
  return keys.split(" ").flatMap((step) =>
    step.split("+").map((key) => {
      if (key === "mod") return isMac ? "⌘" : "Ctrl";
      if (key === "Escape") return "Esc";
      return key.length === 1 ? key.toUpperCase() : key;
    }),
  );
}

export function Kbd({ keys, inverse = false }: { keys: string; inverse?: boolean }) {
  return (
    <span className="inline-flex gap-0.5">
      {keyWords(keys).map((key, index) => (
        <kbd
          // biome-ignore lint/suspicious/noArrayIndexKey: `g g` has the same key twice
          key={`${key}${index}`}
          className={cx(
            "inline-grid h-4.5 min-w-4.5 place-items-center rounded border px-1 font-sans text-2xs font-medium",
            inverse ? "border-current/40" : "border-line-strong bg-sunken text-soft",
          )}
        >
          {key}
        </kbd>
      ))}
    </span>
  );
}
