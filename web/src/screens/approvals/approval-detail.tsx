import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Changes, Countdown, planTo, Risk, StackLink } from "@/screens/stacks/parts";
import { PlanView } from "@/screens/stacks/plan-view";
import { Facts, Section } from "@/ui/page";
import { Status } from "@/ui/status";
import { Thread } from "@/ui/thread";
import { Id, Instant, TimeAgo } from "@/ui/values";
import { type Approval, approvalsQuery } from "./approval-queries";
import { earlier } from "./approval-words";

/** Everything that somebody needs to know to say yes or no. */
export function ApprovalDetail({ approval }: { approval: Approval }) {
  const name = { client: approval.client_id, stack: approval.stack_id };
  const isOpen = approval.status === "pending";
  return (
    <>
      <Section title="In short">
        <Facts
          items={[
            ["Status", <Status key="s" value={approval.status} />],
            ["Changes", <Changes key="c" plan={approval.shown} all />],
            ["Risk", <Risk key="r" plan={approval.shown} />],
            ["Why it asks", approval.reason],
            ["Stack", <StackLink key="st" name={name} />],
            ["Client", approval.client_id],
            ["Asked for by", approval.requested_by],
            [
              "Asked",
              <span key="asked">
                <Instant at={approval.requested_at} day />{" "}
                <TimeAgo at={approval.requested_at} className="text-soft" />
              </span>,
            ],
            isOpen && ["Expires", <Countdown key="e" until={approval.expires_at} />],
            [
              "Plan",
              <Link key="p" {...planTo(name, approval.plan_id)} className="link">
                the plan itself
              </Link>,
            ],
            ["Digest", <Id key="d" value={approval.digest} most={20} />],
          ]}
        />
      </Section>
      <Section title="Who has answered">
        <Answers approval={approval} />
      </Section>
      <Section title="What would be done, in this order">
        <PlanView
          plan={{
            ...approval.shown,
            blockers: approval.shown.blockers.filter((each) => each.code !== "approval_missing"),
          }}
          stackId={approval.stack_id}
        />
      </Section>
      <Earlier approval={approval} />
      <Section title="The thread">
        <Thread of="approval" id={approval.approval_id} clientId={approval.client_id} />
      </Section>
    </>
  );
}

function Answers({ approval }: { approval: Approval }) {
  const agreed = approval.grants.filter((grant) => grant.granted).length;
  return (
    <>
      <p className="mb-1.5 text-soft">
        {agreed} of {approval.quorum} {approval.quorum === 1 ? "has" : "have"} agreed
        {approval.roles.length > 0 && `; each has to be ${approval.roles.join(" or ")}`}
        {approval.not_requester && "; who asked may not"}.
      </p>
      {approval.grants.length > 0 && (
        <ul className="flex flex-col gap-1.5">
          {approval.grants.map((grant) => (
            <li
              key={`${grant.actor} ${grant.at}`}
              className="flex flex-wrap items-baseline gap-x-2"
            >
              <Status
                value={grant.granted ? "granted" : "denied"}
                label={grant.granted ? "yes" : "no"}
                plain
              />
              <span className="font-medium">{grant.actor}</span>
              {grant.roles.length > 0 && (
                <span className="text-sm text-soft">{grant.roles.join(", ")}</span>
              )}
              <TimeAgo at={grant.at} className="text-sm text-soft" />
              {grant.reason && <span className="basis-full text-soft">“{grant.reason}”</span>}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Earlier({ approval }: { approval: Approval }) {
  const { data } = useInfiniteQuery(approvalsQuery("all", approval.client_id));
  const found = earlier(approval, data?.pages.flatMap((page) => page.approvals) ?? []);
  if (found.length === 0) return null;
  return (
    <Section title="The same plan before">
      <ul className="flex flex-col gap-1">
        {found.slice(0, 10).map((each) => (
          <li key={each.approval_id} className="flex flex-wrap items-baseline gap-x-3">
            <Status value={each.status} plain />
            <Link
              to="/approvals/$id"
              params={{ id: each.approval_id }}
              search={{ tenant: each.client_id }}
              className="link"
            >
              asked <TimeAgo at={each.requested_at} />
            </Link>
            <span className="text-sm text-soft">
              {each.grants.map((grant) => `${grant.actor}: ${grant.reason}`).join("; ")}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
