import { type UseQueryResult, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pause, Play, RotateCcw, Send } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/me";
import { useSetSearch } from "@/app/console-search";
import { useSorted } from "@/app/lists";
import { cx } from "@/lib/cx";
import { count } from "@/lib/format";
import { printed } from "@/lib/printed";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { type Column, DataTable } from "@/ui/data-table";
import { Facts, Inspector, Section } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast, toastProblem } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { actOnSubscriber, type Subscriber, setAsideQuery } from "./ingest-queries";

const keyOf = (one: Subscriber) => `${one.client_id}/${one.name}`;

const COLUMNS: readonly Column<Subscriber>[] = [
  {
    id: "name",
    head: "Subscriber",
    main: true,
    cell: (one) => (
      <>
        {one.name} <span className="font-normal text-faint">{one.client_id}</span>
      </>
    ),
    sort: (one) => one.name,
  },
  {
    id: "state",
    head: "State",
    width: "7rem",
    cell: (one) => <Status value={one.state} plain />,
    sort: (one) => one.state,
  },
  {
    id: "channel",
    head: "Channel",
    width: "7rem",
    cell: (one) => one.channel,
    sort: (one) => one.channel,
    from: "sm",
  },
  {
    id: "behind",
    head: "Behind",
    width: "7rem",
    align: "right",
    cell: (one) =>
      one.behind === 0 ? <span className="text-faint">none</span> : count(one.behind),
    sort: (one) => one.behind,
    from: "sm",
  },
  {
    id: "delivered",
    head: "Delivered",
    width: "7rem",
    align: "right",
    cell: (one) => count(one.delivered),
    sort: (one) => one.delivered,
    from: "md",
  },
  {
    id: "waiting",
    head: "Set aside",
    width: "6.5rem",
    align: "right",
    cell: (one) => (
      <span className={cx(one.waiting > 0 ? "text-warn" : "text-faint")}>{count(one.waiting)}</span>
    ),
    sort: (one) => one.waiting,
  },
  {
    id: "abandoned",
    head: "Given up",
    width: "6.5rem",
    align: "right",
    cell: (one) => (
      <span className={cx(one.abandoned > 0 ? "font-semibold text-bad" : "text-faint")}>
        {count(one.abandoned)}
      </span>
    ),
    sort: (one) => one.abandoned,
    from: "md",
  },
];

const NONE: Subscriber[] = [];

/** Who gets events out of the log. */
export function SubscriberList({
  found,
  selected,
}: {
  found: UseQueryResult<{ subscribers: Subscriber[] }>;
  selected: string | undefined;
}) {
  const set = useSetSearch();
  const sorted = useSorted(found.data?.subscribers ?? NONE, COLUMNS);
  if (found.isPending) return <Skeleton lines={6} className="p-6" />;
  if (found.isError && !found.data)
    return <ErrorState error={found.error} retry={() => void found.refetch()} />;
  return (
    <DataTable
      label="Subscribers"
      scrollId="subscribers"
      {...sorted}
      rowKey={keyOf}
      columns={COLUMNS}
      selected={selected}
      onSelect={(key) => set({ sel: key }, { replace: true })}
      linkTo={(one) => ({
        to: "/ingest",
        search: (before) => ({ ...before, sel: keyOf(one) }),
        resetScroll: false,
      })}
      empty={
        <EmptyState
          icon={Send}
          title="No subscribers yet"
          why="A subscriber gets events out of the log: by webhook, on a topic of SNS or of Kafka. It is declared like a source."
          command="helios subscribers apply search.yaml"
        />
      }
    />
  );
}

export function SubscriberInspector({
  subscriber,
  onClose,
}: {
  subscriber: Subscriber | undefined;
  onClose: () => void;
}) {
  return (
    <Inspector
      label={subscriber ? `Subscriber of ${subscriber.client_id}` : "Subscriber"}
      title={subscriber?.name ?? "Not found"}
      onClose={onClose}
      actions={subscriber && <Acts subscriber={subscriber} />}
    >
      {subscriber ? (
        <Detail subscriber={subscriber} />
      ) : (
        <EmptyState
          icon={Send}
          title="There is no such subscriber"
          why="It was removed, or is of a client that is not shown."
          command="helios subscribers list"
        />
      )}
    </Inspector>
  );
}

function useAct(subscriber: Subscriber) {
  const client = useQueryClient();
  return async (verb: "disable" | "enable" | "redeliver", json?: unknown) => {
    await actOnSubscriber(subscriber, verb, json);
    await client.invalidateQueries({ queryKey: ["subscribers"] });
  };
}

function Acts({ subscriber }: { subscriber: Subscriber }) {
  const denied = useMay("operate", subscriber.client_id);
  const act = useAct(subscriber);
  const [isAsking, setAsking] = useState(false);
  const [skip, setSkip] = useState(false);
  const whose = subscriber.client_id === "default" ? "" : ` --client-id ${subscriber.client_id}`;
  if (subscriber.state !== "disabled")
    return (
      <Button
        size="sm"
        icon={Pause}
        disabledReason={denied}
        onClick={() =>
          void act("disable")
            .then(() =>
              toast(`${subscriber.name} is disabled; its place is kept`, {
                undo: () => act("enable"),
              }),
            )
            .catch(toastProblem)
        }
      >
        Disable
      </Button>
    );
  return (
    <>
      <Button size="sm" icon={Play} disabledReason={denied} onClick={() => setAsking(true)}>
        Enable…
      </Button>
      <Confirm
        open={isAsking}
        onClose={() => setAsking(false)}
        title={`Enable ${subscriber.name}`}
        verb="Enable"
        cli={`helios subscribers enable ${subscriber.name}${skip ? " --skip" : ""}${whose}`}
        plan={
          <label className="flex items-center gap-2">
            <input
              type="checkbox"
              checked={skip}
              onChange={(event) => setSkip(event.target.checked)}
              className="size-4 accent-(--sun-ink)"
            />
            Leave out what happened while it was disabled
          </label>
        }
        onConfirm={async () => {
          await act("enable", { skip });
          toast(`${subscriber.name} goes on`);
        }}
      >
        {count(subscriber.behind)} events of the log have come since. It gets those that it wants,
        unless they are left out.
      </Confirm>
    </>
  );
}

function Detail({ subscriber }: { subscriber: Subscriber }) {
  return (
    <>
      {subscriber.detail && (
        <p
          className={cx(
            "mb-4 rounded-lg px-3 py-2 break-words",
            subscriber.state === "running" ? "bg-sunken text-soft" : "bg-bad-wash text-bad",
          )}
        >
          {subscriber.detail}
        </p>
      )}
      <Facts
        items={[
          ["State", <Status key="state" value={subscriber.state} />],
          ["Channel", subscriber.channel],
          ["Delivered", count(subscriber.delivered)],
          ["Position", `#${count(subscriber.cursor)}, ${count(subscriber.behind)} behind`],
          ["Set aside", `${count(subscriber.waiting)} to be tried again`],
          ["Given up", count(subscriber.abandoned)],
          [
            "Declared",
            <span key="declared">
              version {subscriber.version},{" "}
              <Link
                to="/events/$position"
                params={{ position: String(subscriber.position) }}
                className="link"
              >
                <TimeAgo at={subscriber.declared_at} />
              </Link>
            </span>,
          ],
        ]}
      />
      <Section title="Set aside">
        <SetAside subscriber={subscriber} />
      </Section>
      <Section title="Document">
        <pre
          tabIndex={0}
          className="mono max-h-80 overflow-auto rounded-md border border-line bg-sunken p-3 whitespace-pre-wrap break-words"
        >
          {printed(subscriber.yaml)}
        </pre>
      </Section>
    </>
  );
}

/** What did not arrive: tried again by itself, or at once when somebody says so. */
function SetAside({ subscriber }: { subscriber: Subscriber }) {
  const denied = useMay("operate", subscriber.client_id);
  const act = useAct(subscriber);
  const { data, error } = useQuery(setAsideQuery(subscriber.client_id, subscriber.name));
  const found = data?.deliveries ?? [];
  const again = async (positions: number[]) => {
    try {
      await act("redeliver", { positions });
      toast(`${count(positions.length)} tried again`);
    } catch (problem) {
      toastProblem(problem);
    }
  };
  if (error) return <p className="text-bad">{error.message}</p>;
  if (found.length === 0)
    return <p className="text-soft">Nothing: all that was sent has arrived.</p>;
  return (
    <>
      <div className="mb-2">
        <Button
          size="sm"
          icon={RotateCcw}
          disabledReason={denied}
          onClick={() => void again(found.map((one) => one.position))}
        >
          Redeliver all {count(found.length)}
        </Button>
      </div>
      <div className="-mx-4 border-y border-line">
        <Table label="Set aside" heads={["Event", "State", "Tries", ""]}>
          {found.slice(0, 50).map((one) => (
            <tr key={one.position}>
              <Cell>
                <Link
                  to="/events/$position"
                  params={{ position: String(one.position) }}
                  className="link"
                >
                  #{count(one.position)}
                </Link>
                <div className="text-sm break-words text-soft">{one.detail}</div>
              </Cell>
              <Cell>
                <Status value={one.status} plain />
                {one.next_at && (
                  <div className="text-sm text-soft">
                    <TimeAgo at={one.next_at} />
                  </div>
                )}
              </Cell>
              <Cell>{one.attempt}</Cell>
              <Cell right>
                <Button
                  size="sm"
                  kind="quiet"
                  disabledReason={denied}
                  onClick={() => void again([one.position])}
                >
                  Redeliver
                </Button>
              </Cell>
            </tr>
          ))}
        </Table>
      </div>
    </>
  );
}
