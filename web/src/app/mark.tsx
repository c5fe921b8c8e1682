import { cx } from "@/lib/cx";

/** The sign of Helios: a sun over its own horizon line. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg
      viewBox="0 0 32 32"
      className={cx("text-sun", className)}
      aria-hidden="true"
      focusable="false"
    >
      <g fill="none" stroke="currentColor" strokeWidth="2.4" strokeLinecap="round">
        <path d="M16 3.5v3M5.4 8l2.2 2.1M26.6 8l-2.2 2.1" />
        <path d="M3.5 21.5h4.2M24.3 21.5h4.2" />
        <path d="M8 27h16" opacity=".55" />
      </g>
      <path d="M8.8 21.5a7.2 7.2 0 0 1 14.4 0z" fill="currentColor" />
    </svg>
  );
}
