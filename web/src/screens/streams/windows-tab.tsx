import { useQuery } from "@tanstack/react-query";
import { PathLink } from "@/ui/path-link";
import { EmptyState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { settingsQuery } from "./use-most-wrong";

/** What of the contract can be changed while it runs; the settings themselves are changed there. */
export function WindowsTab({ contract }: { contract: string }) {
  const { data } = useQuery(settingsQuery);
  if (!data) return <Skeleton lines={6} />;
  const prefix = `contract.${contract}.`;
  const settings = data.settings.filter((each) => each.name.startsWith(prefix));
  if (settings.length === 0)
    return (
      <EmptyState
        title="No settings of this contract"
        why="Its windows are those of the document; or they may not be seen with your role."
        command="helios config list"
      />
    );
  return (
    <div className="rounded-lg border border-line bg-card">
      <Table label="Windows and limits" heads={["What", "Value", "From", "Setting"]}>
        {settings.map((each) => (
          <tr key={each.name}>
            <Cell>{each.title.replace(`${contract}: `, "")}</Cell>
            <Cell className="mono">{String(each.value ?? "–")}</Cell>
            <Cell>
              <Badge>{each.origin ?? "default"}</Badge>
            </Cell>
            <Cell>
              <PathLink path={`/settings/configuration?q=${encodeURIComponent(each.name)}`}>
                {each.name.slice(prefix.length)}
              </PathLink>
            </Cell>
          </tr>
        ))}
      </Table>
    </div>
  );
}
