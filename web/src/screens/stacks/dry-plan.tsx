import { useQuery } from "@tanstack/react-query";
import { call, type Schemas } from "@/api/client";
import { ErrorState, Skeleton } from "@/ui/states";
import { Changes, Risk } from "./parts";
import { pathOf, type StackName } from "./stack-queries";
import { sentence } from "./stack-words";

/** What would be done now; nothing is kept of it. */
export function DryPlan({ name, only }: { name: StackName; only: readonly string[] }) {
  const { data, error } = useQuery({
    queryKey: ["dry-plan", name.client, name.stack, only],
    queryFn: () =>
      call<Schemas["PlanMade"]>("POST", `${pathOf(name)}/plan`, {
        json: { only, dry_run: true },
      }),
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });
  if (error) return <ErrorState error={error} />;
  if (!data) return <Skeleton lines={3} />;
  if (!data.plan)
    return <p className="rounded-md bg-sunken px-3 py-2 text-soft">There is nothing to do now.</p>;
  return (
    <div className="rounded-md border border-line">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1 border-b border-line px-3 py-2">
        <Changes plan={data.plan} all />
        <Risk plan={data.plan} />
      </div>
      <ol className="list-decimal py-2 pr-3 pl-8" aria-label={sentence(data.plan)}>
        {data.plan.actions.map((action) => (
          <li key={action.id}>{action.summary}</li>
        ))}
      </ol>
      {data.plan.blockers.map((blocker) => (
        <p
          key={blocker.code + blocker.action_id}
          className="border-t border-line px-3 py-2 text-sm text-warn"
        >
          {blocker.detail}
          {blocker.remedy && `: ${blocker.remedy}`}
        </p>
      ))}
    </div>
  );
}
