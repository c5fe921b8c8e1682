import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { cx } from "@/lib/cx";
import { IconButton } from "./button";

/**
 * A modal dialog on the browser's own element: it keeps the focus, closes on Escape, makes the rest
 * inert, and needs no style injected, which the content security policy forbids.
 */
export function Dialog({
  open,
  onClose,
  title,
  side,
  width = "max-w-lg",
  bare = false,
  children,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  /** A drawer at this side instead of a box in the middle. */
  side?: "left" | "right";
  width?: string;
  /** Without the head: the title is only read out. */
  bare?: boolean;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) {
      dialog.showModal();
      // A field is what the dialog is for; the browser would begin at the button that closes it.
      const first = dialog.querySelector<HTMLElement>("input, textarea, select") ?? null;
      (first ?? dialog.querySelector<HTMLElement>("h2"))?.focus();
    }
    if (!open && dialog.open) dialog.close();
  }, [open]);

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it, the click is on what lies behind
    <dialog
      ref={ref}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
      className={cx(
        "border-line bg-card p-0 text-ink shadow-high",
        side
          ? [
              "my-0 h-dvh max-h-none w-72 max-w-[85vw]",
              side === "left" ? "mr-auto ml-0" : "mr-0 ml-auto",
            ]
          : [
              "mx-auto my-[max(4vh,1rem)] w-[calc(100vw-2rem)] rounded-xl border sm:mt-[12vh]",
              width,
            ],
      )}
    >
      {open && (
        <>
          <header className={cx(bare ? "sr-only" : "flex items-center gap-3 px-5 pt-4 pb-1")}>
            <h2 id={id} tabIndex={-1} className="flex-1 text-lg font-semibold outline-none">
              {title}
            </h2>
            {!bare && <IconButton icon={X} label="Close" keys="Escape" onClick={onClose} />}
          </header>
          {children}
        </>
      )}
    </dialog>
  );
}
