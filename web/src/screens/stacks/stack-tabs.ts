/** Tabs of a stack's page, as its address names them. */
export const TABS = [
  "summary",
  "drift",
  "plan",
  "graph",
  "history",
  "policy",
  "forecast",
  "runs",
] as const;
