import { cx } from "@/lib/cx";

/** A small choice of words beside each other, one of which holds. */
export function Segments<T extends string>({
  label,
  value,
  options,
  words,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly T[];
  /** What an option is called where its value is not a word. */
  words?: (option: T) => string;
  onChange: (value: T) => void;
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset has looks of its own
    <div role="group" aria-label={label} className="flex rounded-md border border-line-strong">
      {options.map((each) => (
        <button
          key={each}
          type="button"
          aria-pressed={each === value}
          onClick={() => onChange(each)}
          className={cx(
            "px-2 py-0.5 text-sm whitespace-nowrap first:rounded-l-[5px] last:rounded-r-[5px]",
            each === value ? "bg-primary text-on-primary" : "text-soft hover:bg-sunken",
          )}
        >
          {words ? words(each) : each}
        </button>
      ))}
    </div>
  );
}
