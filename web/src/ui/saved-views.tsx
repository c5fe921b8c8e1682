import { useQuery } from "@tanstack/react-query";
import { useLocation } from "@tanstack/react-router";
import { House, Trash2 } from "lucide-react";
import { type HTMLAttributes, type ReactElement, useEffect, useId, useRef, useState } from "react";
import { homeOf, useMe } from "@/api/me";
import { type SavedView, savedViewsQuery, useSavedViews } from "@/api/saved-views";
import { useSetSearch, useSort, useTenant, useTimeRange } from "@/app/console-search";
import { partOf, partOfView, rangeOf, searchOf, sortOf, viewId } from "@/app/saved-views";
import { isLive, PRESET_WORDS, rangeText } from "@/lib/time-range";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Menu, MenuItem, MenuLabel, MenuLine } from "./menu";
import { toast, toastProblem } from "./toast";

/** Filters that were given a name, one's own and those shared by others. */
export function SavedViews({
  screen,
  value,
  children,
}: {
  screen: string;
  value: string;
  /** The button that opens the menu. */
  children: ReactElement<HTMLAttributes<HTMLElement>>;
}) {
  const me = useMe();
  const tenant = homeOf(me, useTenant());
  const { data } = useQuery(savedViewsQuery(tenant));
  const saved = useSavedViews(tenant);
  const views = data?.filter((view) => view.screen === screen) ?? [];
  const [isNaming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [isShared, setShared] = useState(false);
  const id = useId();
  const sort = useSort();
  const set = useSetSearch();
  const range = useTimeRange();
  const part = useLocation({ select: (location) => partOf(location.search) });
  const isHeld = (view: SavedView) => {
    const [ofRange, ofPart] = [rangeOf(view), partOfView(view)];
    return (
      view.filter === value &&
      sortOf(view) === sort &&
      (!ofRange || rangeText(ofRange) === rangeText(range)) &&
      (!ofPart || JSON.stringify(ofPart) === JSON.stringify(part))
    );
  };
  const show = (search: ReturnType<typeof searchOf>) => set(search, { replace: true });

  const begin = (view: SavedView) => {
    const { range: _, part: __, ...state } = view.state;
    // Whose time or part was chosen already keeps it.
    const isChosen = !isLive(range) || Object.keys(part).length > 0;
    show(searchOf(isChosen ? { ...view, state } : view));
  };
  const beginLatest = useRef(begin);
  beginLatest.current = begin;
  // A screen that is opened without a filter begins with the reader's own; what is cleared stays so.
  const hasBegun = useRef(value !== "" || sort !== undefined);
  useEffect(() => {
    if (hasBegun.current || !data) return;
    hasBegun.current = true;
    const first = data.find((view) => view.screen === screen && view.is_default);
    if (first && value === "") beginLatest.current(first);
  }, [data, screen, value]);

  const save = async () => {
    const title = name.trim();
    await saved.put({
      screen,
      id:
        views.find((view) => view.title === title && view.is_mine)?.id ??
        viewId(screen, title, me.name),
      title,
      filter: value,
      state: { sort, range: rangeText(range), part },
      is_shared: isShared,
    });
    setNaming(false);
    setName("");
    toast(`View “${title}” saved`);
  };
  const remove = async (view: SavedView) => {
    await saved.remove(view.id);
    toast(`View “${view.title}” removed`, { undo: () => saved.put(view) });
  };
  const failed = (error: unknown) => toastProblem(error);
  const held = views.find(isHeld);

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
            checked={isHeld(view)}
            onSelect={() => show({ ...searchOf(view), sel: undefined })}
          >
            {view.title}
            {view.is_shared && <span className="text-soft"> · shared</span>}
            {view.is_default && <span className="text-soft"> · begins here</span>}
          </MenuItem>
        ))}
        <MenuLine />
        <MenuItem
          onSelect={() => setNaming(true)}
          disabledReason={value === "" && !sort ? "There is no filter to save" : undefined}
        >
          Save this filter…
        </MenuItem>
        {held?.is_mine && (
          <>
            <MenuItem
              icon={House}
              onSelect={() =>
                void saved.put({ ...held, is_default: !held.is_default }).catch(failed)
              }
            >
              {held.is_default ? "Begin without a filter" : `Begin with “${held.title}”`}
            </MenuItem>
            <MenuItem icon={Trash2} onSelect={() => void remove(held).catch(failed)}>
              Remove “{held.title}”
            </MenuItem>
          </>
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
          <code className="mono rounded-md bg-sunken px-2.5 py-1.5 break-all">
            {[value, sort && `sort=${sort}`].filter(Boolean).join(" ")}
          </code>
          <p className="text-sm text-soft">
            With the time range:{" "}
            {range.kind === "preset" ? PRESET_WORDS[range.preset] : rangeText(range)}
          </p>
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
