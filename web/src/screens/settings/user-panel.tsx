import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { call } from "@/api/client";
import { useMe } from "@/api/me";
import { problemText } from "@/api/problem";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Facts, Inspector, Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { toast, toastProblem } from "@/ui/toast";
import { Command, Id, TimeAgo } from "@/ui/values";
import { equal, type Grant, options } from "./grants";
import { GrantsMatrix } from "./grants-matrix";
import { NewPassword } from "./invite";
import { word } from "./setting-words";
import { type User, userQuery } from "./settings-queries";

/** One user: who they are, what they may do, and what can be done about them. */
export function UserPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { data, error, refetch } = useQuery(userQuery(id));
  return (
    <Inspector label="User" title={data?.user.name ?? "…"} onClose={onClose}>
      {error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : data ? (
        <Detail key={data.etag} user={data.user} etag={data.etag} onGone={onClose} />
      ) : (
        <Skeleton lines={10} />
      )}
    </Inspector>
  );
}

function Detail({ user, etag, onGone }: { user: User; etag: string; onGone: () => void }) {
  const me = useMe();
  const queries = useQueryClient();
  const isMe = me.kind === "user" && me.name === user.name;
  const [isRemoving, setRemoving] = useState(false);
  const again = () =>
    Promise.all(
      ["users", "sessions", "me"].map((key) => queries.invalidateQueries({ queryKey: [key] })),
    );
  const path = `/api/v1/users/${encodeURIComponent(user.id)}`;
  const setDisabled = async (disabled: boolean, undo = true) => {
    try {
      await call("PATCH", path, { json: { disabled } });
      await again();
      toast(disabled ? `${user.name} may not sign in any more` : `${user.name} may sign in`, {
        ...(undo ? { undo: () => setDisabled(!disabled, false) } : {}),
      });
    } catch (failed) {
      toastProblem(failed);
    }
  };
  return (
    <>
      <Facts
        items={[
          ["Status", <Status key="status" value={user.disabled ? "disabled" : "active"} />],
          ["Shown as", user.display_name || user.name],
          ["Id", <Id key="id" value={user.id} most={40} />],
          [
            "Signs in",
            user.origin === "local"
              ? `here, by password${user.has_password === false ? " (none is set yet)" : ""}`
              : `at ${user.issuer}`,
          ],
          user.groups.length > 0 && ["Groups", user.groups.join(", ")],
          ["Added", <TimeAgo key="added" at={user.created_at} />],
          [
            "Sessions",
            <Link
              key="sessions"
              className="link"
              to="/settings/$tab"
              params={{ tab: "sessions" }}
              search={{ q: `user:${user.name}` } as never}
            >
              {user.sessions} open
            </Link>,
          ],
          [
            "Did",
            <Link
              key="did"
              className="link"
              to="/audit"
              search={{ q: `actor:"user:${user.name}"` }}
            >
              what the audit has of them
            </Link>,
          ],
        ]}
      />
      <Section title="May">
        <EditGrants user={user} etag={etag} onDone={again} />
      </Section>
      {user.origin === "local" && (
        <Section title="Password">
          <SetPassword user={user} isMe={isMe} onDone={again} />
        </Section>
      )}
      <Section title="Access">
        <div className="flex flex-wrap gap-2">
          <Button
            disabledReason={isMe ? "This is you" : undefined}
            onClick={() => void setDisabled(!user.disabled)}
          >
            {user.disabled ? "Let them sign in again" : "Disable"}
          </Button>
          <Button
            kind="danger"
            disabledReason={isMe ? "This is you" : undefined}
            onClick={() => setRemoving(true)}
          >
            Remove…
          </Button>
          {isMe && <Badge>This is you</Badge>}
        </div>
        <p className="mt-2 text-sm text-soft">
          Who is disabled or removed is signed out at once. What they did stays in the audit.
        </p>
      </Section>
      <Confirm
        open={isRemoving}
        onClose={() => setRemoving(false)}
        title={`Remove ${user.name}?`}
        typeName={user.name}
        cli={`helios users remove ${word(user.name)}`}
        verb="Remove the user"
        danger
        onConfirm={async () => {
          await call("DELETE", path, { headers: { "If-Match": etag } });
          onGone();
          toast(`${user.name} is removed`);
          // The lists alone: there is nothing more to be asked of who is gone.
          await queries.invalidateQueries({ queryKey: ["users"], exact: true });
          await queries.invalidateQueries({ queryKey: ["sessions"] });
        }}
      >
        {user.sessions === 1 ? "Their session ends" : `Their ${user.sessions} sessions end`} at once
        and the name is free again. To keep them out for a while, disable them instead.
      </Confirm>
    </>
  );
}

function EditGrants({
  user,
  etag,
  onDone,
}: {
  user: User;
  etag: string;
  onDone: () => Promise<unknown>;
}) {
  const [grants, setGrants] = useState<Grant[]>([...user.grants]);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const isDirty = !equal(grants, user.grants);
  const path = `/api/v1/users/${encodeURIComponent(user.id)}`;
  const save = async () => {
    setBusy(true);
    setProblem("");
    const before = user.grants;
    try {
      await call("PATCH", path, { json: { grants }, headers: { "If-Match": etag } });
      await onDone();
      toast(`What ${user.name} may do has changed`, {
        undo: async () => {
          await call("PATCH", path, { json: { grants: before } });
          await onDone();
        },
      });
    } catch (failed) {
      setProblem(problemText(failed));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="flex flex-col gap-2">
      <GrantsMatrix grants={grants} onChange={setGrants} />
      {user.origin === "oidc" && (
        <p className="text-sm text-soft">
          At the next sign-in the groups at the provider decide anew (setting{" "}
          <code className="mono">oidc_grants</code>).
        </p>
      )}
      {problem && (
        <p role="alert" className="text-sm text-bad">
          {problem}
        </p>
      )}
      {isDirty && (
        <>
          <Command line={`helios users change ${word(user.name)} ${options(grants)}`} />
          <div className="flex gap-2">
            <Button kind="primary" busy={busy} onClick={() => void save()}>
              Change what they may do
            </Button>
            <Button onClick={() => setGrants([...user.grants])}>Discard</Button>
          </div>
        </>
      )}
    </div>
  );
}

/** Sets a password: one's own needs the old one. */
export function SetPassword({
  user,
  isMe,
  onDone,
}: {
  user: Pick<User, "id" | "name" | "has_password">;
  isMe: boolean;
  onDone: () => Promise<unknown>;
}) {
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const needsOld = isMe && user.has_password !== false;
  const save = async () => {
    setBusy(true);
    setProblem("");
    try {
      await call("POST", `/api/v1/users/${encodeURIComponent(user.id)}/password`, {
        json: { new: password, ...(needsOld ? { old } : {}) },
      });
      setOld("");
      setPassword("");
      await onDone();
      toast(isMe ? "Your password is changed" : `${user.name} has a new password`);
    } catch (failed) {
      setProblem(problemText(failed));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (password && !busy) void save();
      }}
    >
      {needsOld && (
        <label className="text-sm text-soft">
          Password now
          <input
            type="password"
            className="field mt-1"
            autoComplete="current-password"
            value={old}
            onChange={(event) => setOld(event.target.value)}
          />
        </label>
      )}
      <NewPassword label="New password" value={password} onChange={setPassword} />
      {problem && (
        <p role="alert" className="text-sm text-bad">
          {problem}
        </p>
      )}
      <div className="flex items-center gap-3">
        <Button
          type="submit"
          busy={busy}
          disabledReason={
            password === ""
              ? "Type the new one first"
              : needsOld && !old
                ? "Type the one you have now"
                : undefined
          }
        >
          Set the password
        </Button>
        <span className="text-sm text-soft">
          {isMe ? "Your other sessions are closed." : "All their sessions are closed."}
        </span>
      </div>
    </form>
  );
}
