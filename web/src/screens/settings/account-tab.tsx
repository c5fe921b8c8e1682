import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { LogOut } from "lucide-react";
import { homeOf, useMe } from "@/api/me";
import { type SavedView, savedViewsQuery, useSavedViews } from "@/api/saved-views";
import { useTenant } from "@/app/console-search";
import { viewTo } from "@/app/saved-views";
import { signOut } from "@/app/sign-out";
import { useNow } from "@/lib/now";
import { setPreference, type Theme, usePreference } from "@/lib/preferences";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Facts } from "@/ui/page";
import { Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast, toastProblem } from "@/ui/toast";
import { Instant, TimeAgo } from "@/ui/values";
import { Choice } from "./choice";
import { Column, SettingsFrame } from "./frame";
import { GrantBadges } from "./grants-matrix";
import { sessionsQuery } from "./settings-queries";
import { SetPassword } from "./user-panel";

const THEMES: readonly [Theme, string][] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function AccountTab() {
  const me = useMe();
  const queries = useQueryClient();
  const theme = usePreference("theme");
  const zone = usePreference("zone");
  const now = useNow();
  const { data } = useQuery({ ...sessionsQuery, enabled: me.kind === "user" });
  const current = data?.sessions.find((each) => each.current);
  const hasPassword = (me as { has_password?: boolean | null }).has_password;
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <SettingsFrame tab="account">
      <Column>
        <div className="grid items-start gap-4 lg:grid-cols-2">
          <Card
            title="You"
            actions={
              me.kind === "user" && (
                <Button size="sm" icon={LogOut} onClick={() => void signOut(queries)}>
                  Sign out
                </Button>
              )
            }
          >
            {me.kind === "local" ? (
              <p>
                Access is switched off at this server: you are nobody in particular and may do
                everything. What you do is in the audit as{" "}
                <code className="mono">user:anonymous</code>.
              </p>
            ) : (
              <Facts
                items={[
                  ["Name", me.name],
                  Boolean(me.display_name) && ["Shown as", me.display_name],
                  ["May", <GrantBadges key="may" grants={me.grants} />],
                  current && ["Signed in", <TimeAgo key="in" at={current.opened_at} />],
                  current && ["Session ends", <Instant key="ends" at={current.expires_at} day />],
                  [
                    "Sessions",
                    <Link
                      key="all"
                      className="link"
                      to="/settings/$tab"
                      params={{ tab: "sessions" }}
                      search={{ q: `user:${me.name}` } as never}
                    >
                      all of yours
                    </Link>,
                  ],
                ]}
              />
            )}
          </Card>
          <Card title="How you like things" note="Kept in this browser.">
            <div className="flex flex-col gap-4">
              <Choice
                label="Theme"
                value={theme}
                options={THEMES}
                onChange={(value) => setPreference("theme", value)}
              />
              <Choice
                label="Times in"
                value={zone}
                options={[
                  ["local", here ? `local time, ${here}` : "local time"],
                  ["utc", "UTC"],
                ]}
                onChange={(value) => setPreference("zone", value)}
              />
              <p className="text-sm text-soft">
                Now it is <Instant at={now} day />.
              </p>
            </div>
          </Card>
          {me.kind === "user" && (
            <Card title="Password">
              {hasPassword === false ? (
                <p className="text-soft">
                  You sign in at a provider of identities, or by a link: there is no password to
                  change here.
                </p>
              ) : (
                <SetPassword
                  user={{ id: me.name, name: me.name, has_password: true }}
                  isMe
                  onDone={() => queries.invalidateQueries({ queryKey: ["sessions"] })}
                />
              )}
            </Card>
          )}
        </div>
        <SavedViewsCard />
      </Column>
    </SettingsFrame>
  );
}

/** Where the list of a saved view is; its name is that of the screen. */
function SavedViewsCard() {
  const tenant = homeOf(useMe(), useTenant());
  const { data } = useQuery(savedViewsQuery(tenant));
  const saved = useSavedViews(tenant);
  const remove = async (view: SavedView) => {
    try {
      await saved.remove(view.id);
      toast(`View “${view.title}” removed`, { undo: () => saved.put(view) });
    } catch (failed) {
      toastProblem(failed);
    }
  };
  const views = data ?? [];
  return (
    <Card
      title="Saved views"
      note={`Filters with a name, yours and shared ones${tenant ? ` of ${tenant}` : ""}.`}
      flush={views.length > 0}
    >
      {!data ? (
        <Skeleton lines={2} />
      ) : views.length === 0 ? (
        <p className="text-soft">
          None yet. Filter a list, open the menu at the right of its filter, and save it under a
          name.
        </p>
      ) : (
        <Table
          label="Saved views"
          heads={["Name", "Screen", "Filter", { text: "Remove", right: true }]}
        >
          {views.map((view) => (
            <tr key={view.id}>
              <Cell>
                <Link className="link" {...viewTo(view)}>
                  {view.title}
                </Link>{" "}
                {view.is_shared && <Badge>shared</Badge>}
              </Cell>
              <Cell>{view.screen}</Cell>
              <Cell>
                <code className="mono break-all">{view.filter}</code>
              </Cell>
              <Cell right>
                <Button
                  size="sm"
                  disabledReason={view.is_mine ? undefined : "Somebody else has saved it"}
                  onClick={() => void remove(view)}
                >
                  Remove
                </Button>
              </Cell>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}
