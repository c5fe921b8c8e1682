import { type ReactNode, useId, useState } from "react";
import { titledProblem } from "@/api/problem";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Command } from "./values";

/**
 * A confirmation in proportion to what is at stake.
 *
 * What is only read, or can be undone, needs none: act, and give a toast with Undo. What cannot is
 * asked with its plan; what deletes data has its name typed. Each shows the same act as a command.
 */
export function Confirm({
  open,
  onClose,
  title,
  children,
  plan,
  typeName,
  reason = false,
  cli,
  verb,
  danger = false,
  onConfirm,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  /** What will happen, in a sentence. */
  children?: ReactNode;
  /** The plan, the count, the verdict of the policy. */
  plan?: ReactNode;
  /** This name has to be typed. */
  typeName?: string;
  /** Ask why, for the audit. */
  reason?: boolean | "needed";
  /** The same as a command line. */
  cli?: string;
  /** What the button says: "Apply plan". */
  verb: string;
  danger?: boolean;
  /** May throw; the problem is shown and the dialog stays. */
  onConfirm: (reason: string) => Promise<unknown> | unknown;
}) {
  const [typed, setTyped] = useState("");
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const nameId = useId();
  const reasonId = useId();
  const isReady = (!typeName || typed === typeName) && (reason !== "needed" || why.trim() !== "");

  const close = () => {
    setTyped("");
    setWhy("");
    setError(undefined);
    onClose();
  };
  const act = async () => {
    if (!isReady || busy) return;
    setBusy(true);
    setError(undefined);
    try {
      await onConfirm(why.trim());
      close();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog open={open} onClose={close} title={title}>
      <form
        className="flex flex-col gap-4 px-5 pt-1 pb-5"
        onSubmit={(event) => {
          event.preventDefault();
          void act();
        }}
      >
        {children && <div className="text-soft">{children}</div>}
        {plan}
        {typeName && (
          <div>
            <label htmlFor={nameId} className="text-sm text-soft">
              Type <b className="mono text-ink">{typeName}</b> to go on
            </label>
            <input
              id={nameId}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
              autoComplete="off"
              className="field mono mt-1"
            />
          </div>
        )}
        {reason && (
          <div>
            <label htmlFor={reasonId} className="text-sm text-soft">
              Reason{reason === "needed" ? "" : " (optional)"}, kept in the audit
            </label>
            <input
              id={reasonId}
              value={why}
              onChange={(event) => setWhy(event.target.value)}
              autoComplete="off"
              className="field mt-1"
            />
          </div>
        )}
        {cli && (
          <div>
            <div className="eyebrow mb-1">The same on the command line</div>
            <Command line={cli} />
          </div>
        )}
        {error !== undefined && (
          <p role="alert" className="rounded-md bg-bad-wash px-3 py-2 text-bad">
            {titledProblem(error)}
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={close}>Cancel</Button>
          <Button
            type="submit"
            kind={danger ? "danger" : "primary"}
            busy={busy}
            disabled={!isReady}
          >
            {verb}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
