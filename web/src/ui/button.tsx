import type { ButtonHTMLAttributes, ComponentType, ReactNode } from "react";
import { cx } from "@/lib/cx";
import { Tooltip } from "./tooltip";

export type Icon = ComponentType<{ className?: string; "aria-hidden"?: boolean }>;

const KINDS = {
  primary: "bg-primary text-on-primary border-transparent hover:opacity-88",
  plain: "bg-raised text-ink border-line-strong hover:border-edge hover:bg-sunken",
  quiet: "bg-transparent text-soft border-transparent hover:bg-sunken hover:text-ink",
  danger: "bg-bad text-card border-transparent hover:opacity-88",
} as const;

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: keyof typeof KINDS;
  size?: "sm" | "md";
  icon?: Icon;
  /** Why it cannot be pressed: shown on hover and focus, so it stays focusable. */
  disabledReason?: string | undefined;
  busy?: boolean;
  children?: ReactNode;
}

export function Button({
  kind = "plain",
  size = "md",
  icon: Mark,
  disabledReason,
  busy = false,
  className,
  children,
  onClick,
  ...rest
}: ButtonProps) {
  const isOff = Boolean(disabledReason) || busy || rest.disabled;
  const button = (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled}
      aria-disabled={isOff || undefined}
      aria-busy={busy || undefined}
      onClick={isOff ? (event) => event.preventDefault() : onClick}
      className={cx(
        "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap transition-colors",
        size === "sm" ? "h-7 px-2.5 text-sm" : "h-8 px-3 text-base",
        KINDS[kind],
        isOff && "cursor-not-allowed opacity-55",
        className,
      )}
    >
      {Mark && <Mark className="size-4 shrink-0" aria-hidden />}
      {children}
    </button>
  );
  return disabledReason ? <Tooltip text={disabledReason}>{button}</Tooltip> : button;
}

interface IconButtonProps extends Omit<ButtonProps, "icon" | "children" | "size"> {
  icon: Icon;
  /** What it does; read out, and shown as a tooltip. */
  label: string;
  keys?: string;
  size?: "sm" | "md";
}

export function IconButton({
  icon: Mark,
  label,
  keys,
  kind = "quiet",
  size = "md",
  className,
  disabledReason,
  ...rest
}: IconButtonProps) {
  return (
    <Tooltip text={disabledReason ?? label} {...(keys ? { keys } : {})}>
      <button
        type="button"
        {...rest}
        aria-label={label}
        aria-disabled={disabledReason ? true : undefined}
        onClick={disabledReason ? undefined : rest.onClick}
        className={cx(
          "inline-grid shrink-0 place-items-center rounded-md border transition-colors",
          size === "sm" ? "size-7" : "size-8",
          KINDS[kind],
          disabledReason && "cursor-not-allowed opacity-55",
          className,
        )}
      >
        <Mark className="size-4" aria-hidden />
      </button>
    </Tooltip>
  );
}
