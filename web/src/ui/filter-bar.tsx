import { ChevronDown, Filter, X } from "lucide-react";
import { type ReactNode, useId, useRef, useState } from "react";
import { useShortcut } from "@/app/use-shortcut";
import { cx } from "@/lib/cx";
import { formatFilter, formatToken, parseFilter, quote, type Token } from "@/lib/filter";
import { short } from "@/lib/format";
import { Button } from "./button";
import { SavedViews } from "./saved-views";

export interface FilterKey {
  key: string;
  /** What it is, for the list of suggestions. */
  words: string;
}

export interface Facet {
  value: string;
  count?: number;
}

/**
 * One line of conditions: each a chip to be edited or taken away, with suggestions while typing.
 *
 * Its text is the `q` of the URL, and the same expression works in the API and on the command line.
 */
export function FilterBar({
  value,
  onChange,
  keys,
  facets,
  screen,
  placeholder = "Filter, such as type:order.*",
  children,
}: {
  value: string;
  onChange: (text: string) => void;
  keys: readonly FilterKey[];
  /** The values of a key that are known, the most frequent first. */
  facets?: (key: string, begins: string) => readonly Facet[];
  /** Name of the screen, under which views are saved; without it there are none. */
  screen?: string;
  placeholder?: string;
  /** More controls at the right. */
  children?: ReactNode;
}) {
  const tokens = parseFilter(value);
  const [draft, setDraft] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const listId = useId();
  useShortcut("filter", () => input.current?.focus());

  const suggestions = isOpen ? suggest(draft, keys, facets) : [];
  const apply = (next: readonly Token[]) => onChange(formatFilter(next));
  const add = (text: string) => {
    const added = parseFilter(text);
    if (added.length > 0) apply([...tokens, ...added]);
    setDraft("");
    setActive(-1);
    // What was asked for is under the suggestions; they come again with the next word.
    setOpen(false);
  };
  const take = (suggestion: Suggestion) => {
    if (suggestion.isWhole) add(suggestion.text);
    else setDraft(suggestion.text);
    setActive(-1);
    input.current?.focus();
  };
  const edit = (at: number) => {
    const token = tokens[at];
    if (!token) return;
    apply(tokens.filter((_, index) => index !== at));
    setDraft(formatToken(token));
    input.current?.focus();
  };

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === "ArrowDown" && !isOpen) {
      event.preventDefault();
      setOpen(true);
    } else if (event.key === "ArrowDown" && suggestions.length > 0) {
      event.preventDefault();
      setActive((active + 1) % suggestions.length);
    } else if (event.key === "ArrowUp" && suggestions.length > 0) {
      event.preventDefault();
      setActive((active <= 0 ? suggestions.length : active) - 1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      const chosen = suggestions[active];
      if (chosen) take(chosen);
      else if (draft.trim()) add(draft);
    } else if (event.key === "Tab" && active >= 0 && suggestions[active]) {
      event.preventDefault();
      take(suggestions[active]);
    } else if (event.key === "Backspace" && draft === "" && tokens.length > 0) {
      event.preventDefault();
      edit(tokens.length - 1);
    } else if (event.key === "Escape") {
      if (isOpen && suggestions.length > 0) setOpen(false);
      else input.current?.blur();
    }
  };

  return (
    <div className="flex flex-wrap items-start gap-2">
      <div className="relative min-w-0 flex-1 basis-48">
        <div className="flex min-h-8 flex-wrap items-center gap-1 rounded-md border border-edge bg-raised py-0.5 pr-1 pl-2 focus-within:outline-2 focus-within:outline-focus">
          <Filter className="size-4 shrink-0 text-faint" aria-hidden />
          {tokens.map((token, index) => (
            <Chip
              // biome-ignore lint/suspicious/noArrayIndexKey: the same word may come twice
              key={`${formatToken(token)}${index}`}
              token={token}
              onEdit={() => edit(index)}
              onRemove={() => apply(tokens.filter((_, other) => other !== index))}
            />
          ))}
          <input
            ref={input}
            value={draft}
            role="combobox"
            aria-label="Filter"
            aria-expanded={suggestions.length > 0}
            aria-controls={listId}
            aria-autocomplete="list"
            {...(active >= 0 ? { "aria-activedescendant": `${listId}-${active}` } : {})}
            autoComplete="off"
            spellCheck={false}
            placeholder={tokens.length === 0 ? placeholder : ""}
            onChange={(event) => {
              setDraft(event.target.value);
              setOpen(true);
              setActive(-1);
            }}
            onFocus={() => setOpen(true)}
            onClick={() => setOpen(true)}
            onBlur={() => {
              setOpen(false);
              if (draft.trim()) add(draft);
            }}
            onKeyDown={onKeyDown}
            className="mono h-6 min-w-8 flex-1 bg-transparent px-1 text-ellipsis outline-none"
          />
          {tokens.length > 0 && (
            <button
              type="button"
              aria-label="Clear the filter"
              onClick={() => onChange("")}
              className="ml-auto grid size-6 shrink-0 place-items-center rounded text-faint hover:bg-sunken hover:text-ink"
            >
              <X className="size-4" aria-hidden />
            </button>
          )}
        </div>
        <Suggestions id={listId} items={suggestions} active={active} onTake={take} />
      </div>
      {screen && (
        <SavedViews screen={screen} value={value}>
          <Button>
            Saved <ChevronDown className="size-4" aria-hidden />
          </Button>
        </SavedViews>
      )}
      {children}
    </div>
  );
}

function Chip({
  token,
  onEdit,
  onRemove,
}: {
  token: Token;
  onEdit: () => void;
  onRemove: () => void;
}) {
  const text = formatToken(token);
  const value = token.key
    ? formatToken({ ...token, negated: false }).slice(token.key.length)
    : formatToken({ ...token, negated: false });
  return (
    <span
      className={cx(
        "mono inline-flex max-w-full items-center rounded border text-sm",
        token.negated ? "border-bad/40 bg-bad-wash" : "border-line-strong bg-sunken",
      )}
    >
      <button
        type="button"
        onClick={onEdit}
        aria-label={`Edit ${text}`}
        className="h-6 truncate pl-1.5"
      >
        {token.negated && <span className="text-bad">−</span>}
        {token.key && <span className="text-soft">{token.key}</span>}
        {value}
      </button>
      <button
        type="button"
        onClick={onRemove}
        aria-label={`Remove ${text}`}
        className="grid size-6 shrink-0 place-items-center text-faint hover:text-ink"
      >
        <X className="size-3" aria-hidden />
      </button>
    </span>
  );
}

interface Suggestion {
  text: string;
  words: string;
  count?: number | undefined;
  /** A condition that is complete; else more has to be typed. */
  isWhole: boolean;
}

const MOST = 12;

/** What could come next: keys first, then the values of the key. */
function suggest(
  draft: string,
  keys: readonly FilterKey[],
  facets?: (key: string, begins: string) => readonly Facet[],
): Suggestion[] {
  const minus = draft.startsWith("-") ? "-" : "";
  const text = draft.slice(minus.length);
  const colon = text.indexOf(":");
  if (colon < 0) {
    return keys
      .filter((each) => each.key.startsWith(text.toLowerCase()))
      .slice(0, MOST)
      .map((each) => ({ text: `${minus}${each.key}:`, words: each.words, isWhole: false }));
  }
  const key = text.slice(0, colon);
  const values = text.slice(colon + 1).split(",");
  const begins = values.pop() ?? "";
  return (facets?.(key, begins) ?? [])
    .filter((each) => each.value.toLowerCase().includes(begins.toLowerCase()))
    .slice(0, MOST)
    .map((each) => {
      const next: Token = {
        key,
        op: ":",
        values: [...values, quote(each.value)],
        negated: minus === "-",
      };
      return { text: formatToken(next), words: "", count: each.count, isWhole: true };
    });
}

function Suggestions({
  id,
  items,
  active,
  onTake,
}: {
  id: string;
  items: readonly Suggestion[];
  active: number;
  onTake: (suggestion: Suggestion) => void;
}) {
  return (
    <div
      id={id}
      role="listbox"
      aria-label="Suggestions"
      hidden={items.length === 0}
      className="absolute inset-x-0 top-full z-40 mt-1 max-h-80 overflow-y-auto rounded-lg border border-line bg-raised p-1 shadow-high"
    >
      {items.map((item, index) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the combobox
        // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the combobox
        <div
          key={item.text}
          id={`${id}-${index}`}
          role="option"
          aria-selected={index === active}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onTake(item)}
          className={cx(
            "flex cursor-pointer items-baseline gap-3 rounded px-2 py-1",
            index === active ? "bg-sunken" : "hover:bg-sunken",
          )}
        >
          <span className="mono min-w-0 flex-1 truncate">{item.text}</span>
          <span className="text-sm whitespace-nowrap text-soft">
            {item.count === undefined ? item.words : short(item.count)}
          </span>
        </div>
      ))}
    </div>
  );
}
