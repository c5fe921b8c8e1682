import { useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useId, useState } from "react";
import { call } from "@/api/client";
import { ApiError } from "@/api/problem";
import { useSetSearch } from "@/app/console-search";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { toast } from "@/ui/toast";
import { Command, CopyButton } from "@/ui/values";
import { type Grant, options } from "./grants";
import { GrantsMatrix } from "./grants-matrix";
import { word } from "./setting-words";
import type { User } from "./settings-queries";

/** Letters and digits that are not taken for one another. */
const LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/** A password to hand on: 20 letters and digits, of the browser's own randomness. */
export function madeUp(): string {
  const found: string[] = [];
  while (found.length < 20) {
    for (const byte of crypto.getRandomValues(new Uint8Array(32))) {
      // What is left over of 256 would make the first letters likelier.
      const letter = byte < 256 - (256 % LETTERS.length) && LETTERS[byte % LETTERS.length];
      if (letter && found.length < 20) found.push(letter);
    }
  }
  return found.join("");
}

export function problemText(error: unknown): string {
  return error instanceof ApiError
    ? error.detail || error.title
    : String((error as Error)?.message ?? error);
}

/** A new password, with one made up on request: it can then be seen and copied. */
export function NewPassword({
  value,
  onChange,
  label,
  optional = false,
}: {
  value: string;
  onChange: (password: string) => void;
  label: string;
  optional?: boolean;
}) {
  const id = useId();
  const [isShown, setShown] = useState(false);
  return (
    <div>
      <label htmlFor={id} className="text-sm text-soft">
        {label}
        {optional && " (optional; without one they cannot sign in until one is set)"}
      </label>
      <div className="mt-1 flex items-center gap-2">
        <input
          id={id}
          type={isShown ? "text" : "password"}
          className={isShown ? "field mono" : "field"}
          autoComplete="new-password"
          spellCheck={false}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
        <Button
          icon={KeyRound}
          onClick={() => {
            onChange(madeUp());
            setShown(true);
          }}
        >
          Make one up
        </Button>
        {isShown && value && <CopyButton text={value} label="Copy the password" />}
      </div>
    </div>
  );
}

/** Adds a local user: name, password and what they may do. */
export function InviteDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Invite somebody" width="max-w-2xl">
      <InviteForm onClose={onClose} />
    </Dialog>
  );
}

function InviteForm({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [shown, setShown] = useState("");
  const [password, setPassword] = useState("");
  const [grants, setGrants] = useState<Grant[]>([]);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const queries = useQueryClient();
  const set = useSetSearch();
  const id = useId();
  const isReady = name.trim() !== "" && grants.length > 0;
  const send = async () => {
    setBusy(true);
    setProblem("");
    try {
      const made = await call<User>("POST", "/api/v1/users", {
        json: {
          name: name.trim(),
          display_name: shown.trim(),
          grants,
          ...(password ? { password } : {}),
        },
      });
      await queries.invalidateQueries({ queryKey: ["users"] });
      toast(`${made.name} can sign in${password ? "" : " once a password is set"}`);
      onClose();
      set({ sel: made.id });
    } catch (error) {
      setProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  const parts = ["helios users invite", word(name.trim() || "NAME"), options(grants)];
  if (shown.trim()) parts.push("--display-name", word(shown.trim()));
  if (!password) parts.push("--no-password");
  return (
    <form
      className="flex flex-col gap-4 px-5 pt-1 pb-5"
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady && !busy) void send();
      }}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <label htmlFor={`${id}-name`} className="text-sm text-soft">
          Name to sign in with
          <input
            id={`${id}-name`}
            className="field mt-1"
            autoComplete="off"
            spellCheck={false}
            maxLength={128}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <label htmlFor={`${id}-shown`} className="text-sm text-soft">
          Shown as (optional)
          <input
            id={`${id}-shown`}
            className="field mt-1"
            autoComplete="off"
            maxLength={128}
            value={shown}
            onChange={(event) => setShown(event.target.value)}
          />
        </label>
      </div>
      <NewPassword label="Password" optional value={password} onChange={setPassword} />
      <div>
        <div className="mb-1 text-sm text-soft">What they may do</div>
        <GrantsMatrix grants={grants} onChange={setGrants} />
      </div>
      <Command line={parts.filter(Boolean).join(" ")} />
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
          disabledReason={
            isReady ? undefined : name.trim() === "" ? "They need a name" : "Tick at least one role"
          }
        >
          Invite
        </Button>
      </div>
    </form>
  );
}
