import { useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTenant } from "@/app/console-search";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { AuditDetail } from "./audit-detail";
import { entryQuery } from "./audit-queries";
import { actionWords } from "./audit-words";

const route = getRouteApi("/_console/audit/$id");

export function EntryPage() {
  const { id } = route.useParams();
  const { data } = useSuspenseQuery(entryQuery(id, useTenant()));
  const { entry, plan } = data;
  const words = actionWords(entry.action);
  useTitle(`${words}, audit`);
  return (
    <Page>
      <PageHead
        title={<span className="inline-block first-letter:uppercase">{words}</span>}
        note={`${entry.kind} of ${[entry.client_id, entry.stack_id].filter(Boolean).join(", ")}`}
        back={{ to: { to: "/audit", search: {} }, text: "Audit" }}
      />
      <Card>
        <AuditDetail entry={entry} plan={plan} />
      </Card>
    </Page>
  );
}
