import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { type HTMLAttributes, type ReactElement, useId, useState } from "react";
import { call, type Schemas } from "@/api/client";
import { homeOf, useMe } from "@/api/me";
import { ApiError } from "@/api/problem";
import { useTenant } from "@/app/console-search";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Menu, MenuItem, MenuLabel, MenuLine } from "./menu";
import { toast, toastProblem } from "./toast";

type SavedView = Pick<
  Schemas["SavedView"],
  "id" | "title" | "filter" | "is_shared" | "is_default" | "is_mine"
>;

const PATH = "/api/v1/saved-views";

async function read(screen: string, tenant: string | undefined): Promise<SavedView[]> {
  try {
    const found = await call<{ views: SavedView[] }>("GET", PATH, {
      query: { screen, client_id: tenant },
    });
    return found.views;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}

/** A title as the id of a view: lower case, without what a path would have to escape. */
function idOf(screen: string, title: string): string {
  const plain = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return `${screen}-${plain || "view"}`.slice(0, 60);
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
  children: ReactElement<HTMLAttributes<HTMLElement>>;
}) {
  const queries = useQueryClient();
  const tenant = homeOf(useMe(), useTenant());
  const queryKey = ["saved-views", screen, tenant];
  const { data: views = [] } = useQuery({ queryKey, queryFn: () => read(screen, tenant) });
  const [isNaming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [isShared, setShared] = useState(false);
  const id = useId();

  const put = (view: Omit<SavedView, "is_mine">) =>
    call("PUT", `${PATH}/${encodeURIComponent(view.id)}`, {
      query: { client_id: tenant },
      json: {
        screen,
        title: view.title,
        filter: view.filter,
        is_shared: view.is_shared,
        is_default: view.is_default,
      },
    });
  const save = async () => {
    const title = name.trim();
    await put({
      id: idOf(screen, title),
      title,
      filter: value,
      is_shared: isShared,
      is_default: false,
    });
    setNaming(false);
    setName("");
    await queries.invalidateQueries({ queryKey });
    toast(`View “${title}” saved`);
  };
  const remove = async (view: SavedView) => {
    await call("DELETE", `${PATH}/${encodeURIComponent(view.id)}`, {
      query: { client_id: tenant },
    });
    await queries.invalidateQueries({ queryKey });
    toast(`View “${view.title}” removed`, {
      undo: async () => {
        await put(view);
        await queries.invalidateQueries({ queryKey });
      },
    });
  };
  const failed = (error: unknown) => toastProblem(error);
  const held = views.find((view) => view.filter === value);

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
            key={view.id}
            checked={view.filter === value}
            onSelect={() => onChange(view.filter)}
          >
            {view.title}
            {view.is_shared && <span className="text-soft"> · shared</span>}
          </MenuItem>
        ))}
        <MenuLine />
        <MenuItem
          onSelect={() => setNaming(true)}
          disabledReason={value === "" ? "There is no filter to save" : undefined}
        >
          Save this filter…
        </MenuItem>
        {held?.is_mine && (
          <MenuItem icon={Trash2} onSelect={() => void remove(held).catch(failed)}>
            Remove “{held.title}”
          </MenuItem>
        )}
      </Menu>
      <Dialog open={isNaming} onClose={() => setNaming(false)} title="Save this filter">
        <form
          className="flex flex-col gap-4 px-5 pt-1 pb-5"
          onSubmit={(event) => {
            event.preventDefault();
            void save().catch(failed);
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
