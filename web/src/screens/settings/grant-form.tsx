import { type ReactNode, useState } from "react";
import { problemText } from "@/api/problem";
import { Button } from "@/ui/button";
import { Command } from "@/ui/values";
import type { Grant } from "./grants";
import { GrantsMatrix } from "./grants-matrix";

/** Something that is named and may do things: a person, or a program. */
interface Granting {
  name: string;
  setName: (name: string) => void;
  grants: Grant[];
  setGrants: (grants: Grant[]) => void;
}

export function useGranting(): Granting {
  const [name, setName] = useState("");
  const [grants, setGrants] = useState<Grant[]>([]);
  return { name, setName, grants, setGrants };
}

/** Asks for a name and roles; `send` rejects with what is to be told. */
export function GrantForm({
  granting: { name, grants, setGrants },
  who,
  verb,
  cli,
  send,
  onClose,
  children,
}: {
  granting: Granting;
  who: "It" | "They";
  verb: string;
  cli: string;
  send: () => Promise<void>;
  onClose: () => void;
  /** The fields above the roles. */
  children: ReactNode;
}) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const isNamed = name.trim() !== "";
  const isReady = isNamed && grants.length > 0;
  const submit = async () => {
    setBusy(true);
    setProblem("");
    try {
      await send();
    } catch (error) {
      setProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  const lacks = isNamed ? "Tick at least one role" : `${who} need${who === "It" ? "s" : ""} a name`;
  return (
    <form
      className="flex flex-col gap-4 px-5 pt-1 pb-5"
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady && !busy) void submit();
      }}
    >
      {children}
      <div>
        <div className="mb-1 text-sm text-soft">What {who.toLowerCase()} may do</div>
        <GrantsMatrix grants={grants} onChange={setGrants} />
      </div>
      <Command line={cli} />
      {problem && (
        <p role="alert" className="rounded-md bg-bad-wash px-3 py-2 text-bad">
          {problem}
        </p>
      )}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button
          type="submit"
          kind="primary"
          busy={busy}
          disabledReason={isReady ? undefined : lacks}
        >
          {verb}
        </Button>
      </div>
    </form>
  );
}
