import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTenant } from "@/app/console-search";
import { target } from "./overview-words";

/** A link to a path that the server named; its query goes along, and so does the client. */
export function ServerLink({
  link,
  className,
  label,
  children,
}: {
  link: string;
  className?: string;
  label?: string;
  children: ReactNode;
}) {
  const tenant = useTenant();
  return (
    <Link
      {...(target(link, tenant) as unknown as LinkProps)}
      {...(label ? { "aria-label": label } : {})}
      className={className}
    >
      {children}
    </Link>
  );
}
