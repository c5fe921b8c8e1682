import { useId } from "react";
import { cx } from "@/lib/cx";

/** One of a few words, beside each other. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly (readonly [value: T, words: string])[];
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset>
      <legend className="mb-1 text-sm text-soft">{label}</legend>
      <div className="flex w-fit max-w-full flex-wrap gap-px overflow-hidden rounded-md border border-edge bg-line">
        {options.map(([each, words]) => (
          <label
            key={each}
            className={cx(
              "cursor-pointer px-3 py-1.5 focus-within:outline-2 focus-within:-outline-offset-2 focus-within:outline-focus",
              each === value
                ? "bg-primary font-medium text-on-primary"
                : "bg-raised hover:bg-sunken",
            )}
          >
            <input
              type="radio"
              name={name}
              className="sr-only"
              checked={each === value}
              onChange={() => onChange(each)}
            />
            {words}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
