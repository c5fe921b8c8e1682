import { Link, type LinkProps } from "@tanstack/react-router";
import { Check } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { ReactElement, ReactNode } from "react";
import { cx } from "@/lib/cx";
import type { Icon } from "./button";
import { useLayer } from "./layer";

const ITEM =
  "flex w-full items-center gap-2 rounded px-2 py-1.5 text-left text-base text-ink outline-none select-none data-[highlighted]:bg-sunken data-[disabled]:opacity-50";

/** A menu under a button. Not modal: the page behind stays alive and no style is injected. */
export function Menu({
  trigger,
  align = "end",
  children,
}: {
  trigger: ReactElement;
  align?: "start" | "end";
  children: ReactNode;
}) {
  const layer = useLayer();
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal {...layer}>
        <DropdownMenu.Content
          align={align}
          sideOffset={6}
          collisionPadding={8}
          className="z-40 max-h-[70vh] min-w-48 overflow-y-auto rounded-lg border border-line bg-raised p-1 shadow-high"
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export function MenuItem({
  icon: Mark,
  onSelect,
  to,
  disabledReason,
  danger = false,
  checked,
  children,
}: {
  icon?: Icon;
  onSelect?: () => void;
  to?: LinkProps;
  disabledReason?: string | undefined;
  danger?: boolean;
  /** Of a choice: whether this is the one that holds. */
  checked?: boolean;
  children: ReactNode;
}) {
  const inner = (
    <>
      {checked !== undefined && (
        <Check className={cx("size-4 shrink-0", !checked && "invisible")} aria-hidden />
      )}
      {Mark && <Mark className="size-4 shrink-0 text-soft" aria-hidden />}
      <span className="min-w-0 flex-1">
        {children}
        {disabledReason && <span className="block text-xs text-soft">{disabledReason}</span>}
      </span>
    </>
  );
  const className = cx(ITEM, danger && "text-bad");
  const off = Boolean(disabledReason);
  if (checked !== undefined)
    return (
      <DropdownMenu.CheckboxItem
        checked={checked}
        className={className}
        disabled={off}
        {...(onSelect ? { onSelect } : {})}
      >
        {inner}
      </DropdownMenu.CheckboxItem>
    );
  return (
    <DropdownMenu.Item
      asChild={Boolean(to)}
      className={className}
      disabled={off}
      {...(onSelect ? { onSelect } : {})}
    >
      {to ? <Link {...to}>{inner}</Link> : inner}
    </DropdownMenu.Item>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <DropdownMenu.Label className="eyebrow px-2 pt-1.5 pb-1">{children}</DropdownMenu.Label>;
}

export function MenuLine() {
  return <DropdownMenu.Separator className="my-1 h-px bg-line" />;
}
