import { useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useId, useState } from "react";
import { call } from "@/api/client";
import { useSetSearch } from "@/app/console-search";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { toast } from "@/ui/toast";
import { CopyButton } from "@/ui/values";
import { GrantForm, useGranting } from "./grant-form";
import { options } from "./grants";
import { word } from "./setting-words";
import type { User } from "./settings-queries";

/** Letters and digits that are not taken for one another. */
const LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/** A password to hand on: 20 letters and digits, of the browser's own randomness. */
function madeUp(): string {
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
  const granting = useGranting();
  const { name, setName, grants } = granting;
  const [shown, setShown] = useState("");
  const [password, setPassword] = useState("");
  const queries = useQueryClient();
  const set = useSetSearch();
  const id = useId();
  const send = async () => {
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
  };
  const parts = ["helios users invite", word(name.trim() || "NAME"), options(grants)];
  if (shown.trim()) parts.push("--display-name", word(shown.trim()));
  if (!password) parts.push("--no-password");
  return (
    <GrantForm
      granting={granting}
      who="They"
      verb="Invite"
      cli={parts.filter(Boolean).join(" ")}
      send={send}
      onClose={onClose}
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
    </GrantForm>
  );
}
