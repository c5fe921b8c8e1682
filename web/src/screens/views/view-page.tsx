import { getRouteApi } from "@tanstack/react-router";
import { Layers } from "lucide-react";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { useViews } from "./use-views";
import { ViewActs } from "./view-acts";
import { ViewDetail } from "./view-detail";
import { SERVES } from "./view-words";

const route = getRouteApi("/_console/views/$name");

export function ViewPage() {
  const { name } = route.useParams();
  const { data, error, refetch } = useViews();
  useTitle(`View ${name}`);
  const view = data?.views.find((each) => each.view === name);
  return (
    <Page>
      <PageHead
        title={name}
        note={SERVES[name]?.text}
        back={{ to: { to: "/views", search: {} }, text: "Views" }}
        actions={view && <ViewActs view={name} />}
      />
      <Card>
        {view ? (
          <ViewDetail view={view} />
        ) : data ? (
          <EmptyState
            icon={Layers}
            title="There is no such view"
            why={`Nothing called ${name} is folded from the log.`}
            command="helios views list"
          />
        ) : error ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : (
          <Skeleton lines={8} />
        )}
      </Card>
    </Page>
  );
}
