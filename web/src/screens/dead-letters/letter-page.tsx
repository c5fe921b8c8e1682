import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { useTenant } from "@/app/console-search";
import { compact } from "@/lib/url";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { LetterDetail } from "./letter-detail";
import { type Letter, letterQuery } from "./letter-queries";

const route = getRouteApi("/_console/dead-letters/$id");

/** The letters that died of the same. */
function groupOf(letter: Letter): Record<string, string> {
  return compact({
    tenant: letter.client_id,
    source: letter.source,
    reason: letter.reason,
    type: letter.event_type ?? undefined,
    template: letter.template || undefined,
  }) as Record<string, string>;
}

/** One dead letter, with an address of its own. */
export function LetterPage() {
  const { id } = route.useParams();
  const client = useTenant();
  const query = letterQuery(client, id);
  const { data } = useQuery(query);
  useTitle(`Dead letter ${id.slice(0, 8)}`);
  useLiveQueries(["dead-letters"], [query.queryKey], 2_000);
  const letter = data?.letter;
  return (
    <Page>
      <PageHead
        title={letter?.event_type ?? letter?.source ?? "Dead letter"}
        note={letter ? `Dead letter of ${letter.source}, client ${letter.client_id}` : undefined}
        back={{ to: { to: "/dead-letters", search: {} }, text: "Dead letters" }}
        actions={
          letter && (
            <Link to="/dead-letters/group" search={groupOf(letter)} className="link">
              All with the same cause
            </Link>
          )
        }
      />
      <Card>
        <LetterDetail clientId={letter?.client_id ?? client} id={id} />
      </Card>
    </Page>
  );
}
