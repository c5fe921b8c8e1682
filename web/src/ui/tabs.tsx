import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from "react";
import { Badge } from "./status";

interface Tab {
  id: string;
  label: string;
  count?: number;
  content: ReactNode;
}

/** Tabs whose choice belongs into the URL: give `value` from the search, set it in `onChange`. */
export function Tabs({
  tabs,
  value,
  onChange,
  label,
}: {
  tabs: readonly Tab[];
  value: string;
  onChange: (id: string) => void;
  label: string;
}) {
  const id = useId();
  const at = Math.max(
    tabs.findIndex((tab) => tab.id === value),
    0,
  );
  const shown = tabs[at];
  const current = useRef<HTMLButtonElement>(null);
  // On a narrow screen the one that is shown may stand beyond the edge.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another tab, another place
  useEffect(() => {
    current.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [shown?.id]);
  // What the arrows come to is shown at once.
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1 + tabs.length,
      Home: 0,
      End: tabs.length - 1,
    };
    const to = tabs[(steps[event.key] ?? Number.NaN) % tabs.length];
    if (!to) return;
    event.preventDefault();
    onChange(to.id);
    document.getElementById(`${id}-${to.id}`)?.focus();
  };
  return (
    <div className="min-w-0">
      <div
        role="tablist"
        aria-label={label}
        onKeyDown={onKeyDown}
        className="flex gap-1 overflow-x-auto border-b border-line"
      >
        {tabs.map((tab) => (
          <button
            key={tab.id}
            ref={tab === shown ? current : undefined}
            type="button"
            role="tab"
            id={`${id}-${tab.id}`}
            aria-selected={tab === shown}
            aria-controls={tab === shown ? `${id}-panel` : undefined}
            tabIndex={tab === shown ? 0 : -1}
            onClick={() => onChange(tab.id)}
            className="-mb-px flex items-center gap-1.5 border-b-2 border-transparent px-2.5 py-2 -outline-offset-2 whitespace-nowrap text-soft hover:text-ink aria-selected:border-sun aria-selected:font-medium aria-selected:text-ink"
          >
            {tab.label}
            {tab.count !== undefined && <Badge>{tab.count}</Badge>}
          </button>
        ))}
      </div>
      {shown && (
        <div
          key={shown.id}
          role="tabpanel"
          id={`${id}-panel`}
          aria-labelledby={`${id}-${shown.id}`}
          tabIndex={0}
          className="pt-4"
        >
          {shown.content}
        </div>
      )}
    </div>
  );
}
