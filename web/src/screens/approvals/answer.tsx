import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Check, X } from "lucide-react";
import { useMemo, useState } from "react";
import { call } from "@/api/client";
import { useMay, useMe } from "@/api/me";
import { useOffer } from "@/app/palette-actions";
import { useShortcut } from "@/app/use-shortcut";
import { useNow } from "@/lib/now";
import { Changes } from "@/screens/stacks/parts";
import { CHANGED, type Noted, stackQuery } from "@/screens/stacks/stack-queries";
import { left, sentence } from "@/screens/stacks/stack-words";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Kbd } from "@/ui/kbd";
import { toast } from "@/ui/toast";
import { Id } from "@/ui/values";
import { type Approval, begun } from "./approval-queries";

/** Yes or no to a plan, bound to the digest that is shown; `a` and `r`. */
export function Answer({ approval }: { approval: Approval }) {
  const [asks, setAsks] = useState<"approve" | "reject">();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const me = useMe();
  const now = useNow();
  const name = { client: approval.client_id, stack: approval.stack_id };
  const { data: stack } = useQuery(stackQuery(name));
  const denied = useMay("approve", approval.client_id, stack?.environment);
  const isMine = approval.not_requester && approval.requested_by === `user:${me.name}`;
  const hasAnswered = approval.grants.some((grant) => grant.actor === `user:${me.name}`);
  const reason =
    denied ??
    (left(approval.expires_at, now) <= 0
      ? "It has expired"
      : isMine
        ? "Who asked may not agree"
        : hasAnswered && me.kind !== "local"
          ? "You have answered"
          : undefined);
  const isOpen = approval.status === "pending";
  const canAnswer = isOpen && !reason;
  useShortcut("approve", () => setAsks("approve"), canAnswer);
  useShortcut("reject", () => setAsks("reject"), canAnswer);
  const offered = useMemo(
    () =>
      isOpen
        ? [
            { words: "Approve this plan", run: () => setAsks("approve"), disabledReason: reason },
            { words: "Reject this plan", run: () => setAsks("reject"), disabledReason: reason },
          ]
        : [],
    [isOpen, reason],
  );
  useOffer(offered);
  if (!isOpen) return null;

  const answer = async (verb: "approve" | "reject", why: string) => {
    const noted = await call<Noted>(
      "POST",
      `/api/v1/approvals/${encodeURIComponent(approval.approval_id)}/${verb}`,
      {
        query: { client_id: approval.client_id },
        json: {
          digest: approval.digest,
          reason: why,
          // Where nobody signs in, who answers says what they are.
          roles: me.kind === "local" ? approval.roles : [],
        },
        headers: { "Idempotency-Key": crypto.randomUUID() },
      },
    );
    await call("GET", `/api/v1/approvals/${encodeURIComponent(approval.approval_id)}`, {
      query: { client_id: approval.client_id },
      headers: { "Helios-After": String(noted.position) },
    });
    await Promise.all(CHANGED.map((queryKey) => queries.invalidateQueries({ queryKey })));
  };
  const approve = async (why: string) => {
    await answer("approve", why);
    const isLast = approval.grants.filter((grant) => grant.granted).length + 1 >= approval.quorum;
    if (!isLast) {
      toast("You have agreed; others have to as well");
      return;
    }
    toast("Approved: it is being carried out");
    const heal = await begun(approval);
    if (heal)
      void navigate({
        to: "/healing/$id",
        params: { id: heal.action_id },
        search: { tenant: approval.client_id },
      } as never);
    else
      void navigate({
        to: "/stacks/$client/$stack/plans/$id",
        params: { ...name, id: approval.plan_id },
        search: {},
      } as never);
  };
  const cli = `${approval.approval_id} --client-id ${approval.client_id} --reason …`;
  const digest = `--digest ${approval.digest.slice(0, 8)} --yes`;
  const plan = (
    <div className="rounded-md border border-line px-3 py-2">
      <div className="font-medium">{sentence(approval.shown)}</div>
      <Changes plan={approval.shown} all />
      <div className="mt-1 flex items-center gap-1 text-sm text-soft">
        Digest <Id value={approval.digest} copy={false} most={24} />
      </div>
    </div>
  );
  return (
    <>
      <Button icon={X} disabledReason={reason} onClick={() => setAsks("reject")}>
        Reject <Kbd keys="r" />
      </Button>
      <Button
        kind="primary"
        icon={Check}
        disabledReason={reason}
        onClick={() => setAsks("approve")}
      >
        Approve <Kbd keys="a" />
      </Button>
      <Confirm
        open={asks === "approve"}
        onClose={() => setAsks(undefined)}
        title="Approve this plan"
        verb="Approve"
        reason="needed"
        cli={`helios approve ${cli} ${digest}`}
        plan={plan}
        onConfirm={approve}
      >
        You agree to exactly this plan. Should anything change before it is carried out, your
        agreement is void.
      </Confirm>
      <Confirm
        open={asks === "reject"}
        onClose={() => setAsks(undefined)}
        title="Reject this plan"
        verb="Reject"
        danger
        reason="needed"
        cli={`helios reject ${cli}`}
        plan={plan}
        onConfirm={async (why) => {
          await answer("reject", why);
          toast("Rejected: its drifts are left to people", { tone: "paused" });
        }}
      >
        Nothing is done; its drifts are left to people until they change.
      </Confirm>
    </>
  );
}
