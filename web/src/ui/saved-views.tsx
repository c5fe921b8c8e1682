import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { type ReactElement, useId, useState } from "react";
import { call } from "@/api/client";
import { ApiError } from "@/api/problem";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Menu, MenuItem, MenuLabel, MenuLine } from "./menu";
import { toast } from "./toast";

interface SavedView {
  name: string;
  screen: string;
  query: string;
  shared?: boolean;
}

const PATH = "/api/v1/saved-views";

async function read(screen: string): Promise<SavedView[]> {
  try {
    const found = await call<{ views: SavedView[] }>("GET", PATH, { query: { screen } });
    return found.views;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}

/** Filters that were given a name, one's own and those shared by others. */
export function SavedViews({
  screen,
  value,
  onChange,
  children,
}: {
  screen: string;
  value: string;
  onChange: (text: string) => void;
  /** The button that opens the menu. */
  children: ReactElement;
}) {
  const queries = useQueryClient();
  const queryKey = ["saved-views", screen];
  const { data: views = [] } = useQuery({ queryKey, queryFn: () => read(screen) });
  const [isNaming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [isShared, setShared] = useState(false);
  const id = useId();

  const save = async () => {
    await call("PUT", `${PATH}/${encodeURIComponent(name)}`, {
      json: { screen, query: value, shared: isShared },
    });
    setNaming(false);
    await queries.invalidateQueries({ queryKey });
    toast(`View “${name}” saved`);
  };
  const remove = async (view: SavedView) => {
    await call("DELETE", `${PATH}/${encodeURIComponent(view.name)}`, { query: { screen } });
    await queries.invalidateQueries({ queryKey });
    toast(`View “${view.name}” removed`);
  };
  const held = views.find((view) => view.query === value);

  return (
    <>
      <Menu trigger={children}>
        <MenuLabel>Saved views</MenuLabel>
        {views.length === 0 && (
          <p className="max-w-56 px-2 pb-2 text-sm text-soft">
            None yet. Filter the list, then save the filter under a name.
          </p>
        )}
        {views.map((view) => (
          <MenuItem
            key={view.name}
            checked={view.query === value}
            onSelect={() => onChange(view.query)}
          >
            {view.name}
            {view.shared && <span className="text-soft"> · shared</span>}
          </MenuItem>
        ))}
        <MenuLine />
        <MenuItem
          onSelect={() => setNaming(true)}
          disabledReason={value === "" ? "There is no filter to save" : undefined}
        >
          Save this filter…
        </MenuItem>
        {held && (
          <MenuItem icon={Trash2} onSelect={() => void remove(held)}>
            Remove “{held.name}”
          </MenuItem>
        )}
      </Menu>
      <Dialog open={isNaming} onClose={() => setNaming(false)} title="Save this filter">
        <form
          className="flex flex-col gap-4 px-5 pt-1 pb-5"
          onSubmit={(event) => {
            event.preventDefault();
            void save().catch((error: unknown) =>
              toast(String((error as Error).message), { tone: "bad" }),
            );
          }}
        >
          <code className="mono rounded-md bg-sunken px-2.5 py-1.5 break-all">{value}</code>
          <label htmlFor={id} className="text-sm text-soft">
            Name
            <input
              id={id}
              className="field mt-1"
              value={name}
              maxLength={80}
              onChange={(event) => setName(event.target.value)}
            />
          </label>
          <label className="flex items-center gap-2">
            <input
              type="checkbox"
              className="size-4 accent-(--sun-ink)"
              checked={isShared}
              onChange={(event) => setShared(event.target.checked)}
            />
            Share it with everybody who may read here
          </label>
          <div className="flex justify-end gap-2">
            <Button onClick={() => setNaming(false)}>Cancel</Button>
            <Button type="submit" kind="primary" disabled={name.trim() === ""}>
              Save
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}
