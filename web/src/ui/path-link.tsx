import { useRouter } from "@tanstack/react-router";
import type { MouseEvent, ReactNode } from "react";
import { cx } from "@/lib/cx";

/** A link to a path that the server gave, such as `/stacks/acme/shop`: without a reload. */
export function PathLink({
  path,
  className,
  children,
}: {
  path: string;
  className?: string;
  children: ReactNode;
}) {
  const router = useRouter();
  const isOurs = path.startsWith("/") && !path.startsWith("/api/");
  const go = (event: MouseEvent) => {
    const isPlain = !(event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0);
    if (!isOurs || !isPlain) return;
    event.preventDefault();
    router.history.push(path);
  };
  return (
    <a href={path} onClick={go} className={cx("link", className)}>
      {children}
    </a>
  );
}
