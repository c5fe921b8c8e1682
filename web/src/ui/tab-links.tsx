import { Link, type LinkProps } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { Badge } from "./status";

interface TabLink {
  id: string;
  label: string;
  to: LinkProps;
  count?: number | undefined;
}

/** Tabs that are pages of their own: links, so that each can be opened beside and sent on. */
export function TabLinks({
  tabs,
  value,
  label,
}: {
  tabs: readonly TabLink[];
  /** The one that is shown. */
  value: string;
  label: string;
}) {
  const current = useRef<HTMLAnchorElement>(null);
  // On a narrow screen the one that is shown may stand beyond the edge.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another tab, another place
  useEffect(() => {
    current.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [value]);
  return (
    <nav aria-label={label} className="min-w-0 overflow-x-auto border-b border-line print:hidden">
      <ul className="flex gap-1">
        {tabs.map((tab) => (
          <li key={tab.id}>
            <Link
              {...tab.to}
              ref={tab.id === value ? current : undefined}
              // Without these the router would call every tab of the same path the current one.
              activeOptions={{ exact: true, includeSearch: true, explicitUndefined: true }}
              aria-current={tab.id === value ? "page" : undefined}
              className="-mb-px flex items-center gap-1.5 border-b-2 border-transparent px-2.5 py-2 -outline-offset-2 whitespace-nowrap text-soft hover:text-ink aria-[current]:border-sun aria-[current]:font-medium aria-[current]:text-ink"
            >
              {tab.label}
              {tab.count !== undefined && <Badge>{tab.count}</Badge>}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
