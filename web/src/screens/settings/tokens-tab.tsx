import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { useId, useState } from "react";
import { call, type Schemas } from "@/api/client";
import { useMe } from "@/api/me";
import { useSorted } from "@/app/lists";
import { useNow } from "@/lib/now";
import { timeOf } from "@/lib/sort";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, type Head, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { Command, CopyButton, TimeAgo } from "@/ui/values";
import { person } from "./configuration-tab";
import { Column, SettingsFrame } from "./frame";
import { GrantForm, useGranting } from "./grant-form";
import { options } from "./grants";
import { GrantBadges } from "./grants-matrix";
import { AccessOff, managesSome, NotForYou } from "./off";
import { word } from "./setting-words";
import { type Token, tokensQuery } from "./settings-queries";

const DAY_S = 86_400;
const LASTS = [
  ["1 day", 1],
  ["30 days", 30],
  ["90 days", 90],
  ["1 year", 365],
  ["until it is revoked", 0],
] as const;

const HEADS: readonly Head<Token>[] = [
  { id: "name", text: "Name", sort: (token) => token.name },
  { text: "May" },
  { id: "issued", text: "Issued", sort: (token) => timeOf(token.issued_at) },
  { id: "ends", text: "Ends", sort: (token) => timeOf(token.expires_at) },
  { text: "Revoke", right: true },
];
const NONE: Token[] = [];

export function TokensTab() {
  const me = useMe();
  const isAllowed = managesSome(me);
  const queries = useQueryClient();
  const { data, error, refetch } = useQuery({ ...tokensQuery, enabled: isAllowed });
  const { rows, sorting } = useSorted(data?.tokens ?? NONE, HEADS);
  const [isIssuing, setIssuing] = useState(false);
  const [going, setGoing] = useState<Token>();
  const isOff = data === null || (me.kind === "local" && data?.tokens.length === 0);
  return (
    <SettingsFrame
      tab="tokens"
      actions={
        isAllowed &&
        data && (
          <Button
            kind="primary"
            icon={Plus}
            disabledReason={isOff ? "Access is switched off" : undefined}
            onClick={() => setIssuing(true)}
          >
            Issue a token
          </Button>
        )
      }
    >
      <Column>
        {!isAllowed ? (
          <NotForYou what="Service tokens" />
        ) : error ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : data === undefined ? (
          <Skeleton lines={6} />
        ) : isOff ? (
          <AccessOff what="tokens" />
        ) : data?.tokens.length === 0 ? (
          <EmptyState
            icon={KeyRound}
            title="No service tokens"
            why="Programs that call the API show who they are by a token: with roles of their own, and an end. Issue one here, or:"
            command="helios tokens issue deploys --grant operator@acme --expires-in 90d"
          />
        ) : (
          <div className="rounded-lg border border-line bg-card shadow-card">
            <Table label="Service tokens" heads={HEADS} sorting={sorting}>
              {rows.map((each) => (
                <tr key={each.id}>
                  <Cell>
                    <span className="font-medium">{each.name}</span>
                    <span className="mono block text-sm text-faint">{each.id}</span>
                  </Cell>
                  <Cell>
                    <GrantBadges grants={each.grants} />
                  </Cell>
                  <Cell>
                    <TimeAgo at={each.issued_at} />
                    <span className="block text-sm text-soft">by {person(each.issued_by)}</span>
                  </Cell>
                  <Cell>
                    <Ends at={each.expires_at} />
                  </Cell>
                  <Cell right>
                    <Button size="sm" onClick={() => setGoing(each)}>
                      Revoke…
                    </Button>
                  </Cell>
                </tr>
              ))}
            </Table>
          </div>
        )}
        {data && data.tokens.length > 0 && (
          <p className="text-sm text-soft">
            A token's secret is shown once, when it is issued, and is kept nowhere. What a token did
            is in the audit under <span className="mono">service:NAME</span>.
          </p>
        )}
      </Column>
      <Dialog
        open={isIssuing}
        onClose={() => setIssuing(false)}
        title="Issue a service token"
        width="max-w-2xl"
      >
        <IssueForm onClose={() => setIssuing(false)} />
      </Dialog>
      <Confirm
        open={going !== undefined}
        onClose={() => setGoing(undefined)}
        title={`Revoke ${going?.name}?`}
        cli={`helios tokens revoke ${word(going?.id ?? "")}`}
        verb="Revoke the token"
        danger
        onConfirm={async () => {
          await call("DELETE", `/api/v1/tokens/${encodeURIComponent(going?.id ?? "")}`);
          await queries.invalidateQueries({ queryKey: tokensQuery.queryKey });
          toast(`${going?.name} is revoked`);
        }}
      >
        Programs that use it are refused from now on. It cannot be taken back: they would need
        another token.
      </Confirm>
    </SettingsFrame>
  );
}

function Ends({ at }: { at: string | null }) {
  const now = useNow();
  if (at === null) return <span className="text-soft">when revoked</span>;
  const isOver = new Date(at) <= now;
  return isOver ? <Status plain value="expired" /> : <TimeAgo at={at} />;
}

function IssueForm({ onClose }: { onClose: () => void }) {
  const granting = useGranting();
  const { name, setName, grants } = granting;
  const [days, setDays] = useState(90);
  const [issued, setIssued] = useState<Schemas["IssuedToken"]>();
  const queries = useQueryClient();
  const id = useId();
  if (issued) return <Issued issued={issued} onClose={onClose} />;
  const send = async () => {
    const made = await call<Schemas["IssuedToken"]>("POST", "/api/v1/tokens", {
      json: { name: name.trim(), grants, ...(days ? { expires_in_s: days * DAY_S } : {}) },
    });
    await queries.invalidateQueries({ queryKey: tokensQuery.queryKey });
    setIssued(made);
  };
  const parts = ["helios tokens issue", word(name.trim() || "NAME"), options(grants)];
  if (days) parts.push(`--expires-in ${days}d`);
  return (
    <GrantForm
      granting={granting}
      who="It"
      verb="Issue"
      cli={parts.filter(Boolean).join(" ")}
      send={send}
      onClose={onClose}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <label htmlFor={`${id}-name`} className="text-sm text-soft">
          Name of the program
          <input
            id={`${id}-name`}
            className="field mt-1"
            placeholder="deploys"
            autoComplete="off"
            spellCheck={false}
            maxLength={128}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <label htmlFor={`${id}-lasts`} className="text-sm text-soft">
          Lasts
          <select
            id={`${id}-lasts`}
            className="field mt-1"
            value={days}
            onChange={(event) => setDays(Number(event.target.value))}
          >
            {LASTS.map(([words, each]) => (
              <option key={each} value={each}>
                {words}
              </option>
            ))}
          </select>
        </label>
      </div>
    </GrantForm>
  );
}

function Issued({ issued, onClose }: { issued: Schemas["IssuedToken"]; onClose: () => void }) {
  return (
    <div className="flex flex-col gap-4 px-5 pt-1 pb-5">
      <p role="status">
        <b className="font-semibold">{issued.token.name}</b> has a token. Copy it now: it is kept
        nowhere and cannot be shown again.
      </p>
      <div className="flex items-center gap-1 rounded-md border border-sun bg-sun-wash py-1 pr-1 pl-3">
        <code className="mono min-w-0 flex-1 break-all" data-testid="secret">
          {issued.secret}
        </code>
        <CopyButton text={issued.secret} label="Copy the token" />
      </div>
      <div>
        <div className="eyebrow mb-1">To try it</div>
        <Command
          line={`curl -sS ${location.origin}/api/v1/auth/me -H "Authorization: Bearer $HELIOS_TOKEN"`}
        />
      </div>
      <div className="flex justify-end">
        <Button kind="primary" onClick={onClose}>
          I have copied it
        </Button>
      </div>
    </div>
  );
}
