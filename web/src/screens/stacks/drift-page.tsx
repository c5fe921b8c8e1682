import { useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { Card } from "@/ui/card";
import { Page, PageHead, Section, useTitle } from "@/ui/page";
import { Status } from "@/ui/status";
import { Instant } from "@/ui/values";
import { DriftActs } from "./drift-acts";
import { DriftDetail } from "./drift-detail";
import { stackTo } from "./parts";
import { CHANGED, driftQuery } from "./stack-queries";
import { placeOf } from "./stack-words";

const route = getRouteApi("/_console/stacks/$client/$stack/drift/$id");

/** One drift, with its earlier occurrences. */
export function DriftPage() {
  const { client, stack, id } = route.useParams();
  const name = { client, stack };
  const { data } = useSuspenseQuery(driftQuery(name, id));
  const { drift, history } = data;
  useLiveQueries(["drifts", "stacks", "approvals"], CHANGED);
  useTitle(`${placeOf(drift)} drifts`);
  return (
    <Page>
      <PageHead
        title={<span className="mono text-lg break-all">{placeOf(drift)}</span>}
        note={
          <span className="flex flex-wrap items-center gap-2">
            <Status value={drift.severity} />
            <Status value={drift.state} />
            <span>
              of {stack}, client {client}
            </span>
          </span>
        }
        back={{ to: stackTo(name, { tab: "drift" }), text: `Drift of ${stack}` }}
        actions={<DriftActs drift={drift} />}
      />
      <Card>
        <DriftDetail drift={drift} withActs={false} />
        {history.length > 0 && (
          <Section title="Earlier occurrences">
            <ul className="flex flex-col gap-1">
              {history.map((each) => (
                <li key={each.occurrence} className="flex flex-wrap gap-x-3">
                  <span>{each.occurrence}.</span>
                  <Instant at={each.detected_at} day />
                  <Status value={each.state} plain />
                  <span className="text-soft">{each.reason}</span>
                </li>
              ))}
            </ul>
          </Section>
        )}
      </Card>
    </Page>
  );
}
