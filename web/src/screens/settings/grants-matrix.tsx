import { Plus, X } from "lucide-react";
import { useId, useState } from "react";
import { useMe } from "@/api/me";
import { useTenants } from "@/app/tenant-switch";
import { cx } from "@/lib/cx";
import { Button, IconButton } from "@/ui/button";
import { Badge } from "@/ui/status";
import { Tooltip } from "@/ui/tooltip";
import {
  ALL,
  covering,
  denied,
  type Grant,
  has,
  type Place,
  places,
  placeWords,
  ROLES,
  switched,
} from "./grants";

/** What somebody may do, client by client and environment by environment: tick a role to give it. */
export function GrantsMatrix({
  grants,
  onChange,
}: {
  grants: readonly Grant[];
  onChange: (grants: Grant[]) => void;
}) {
  const me = useMe();
  const [more, setMore] = useState<readonly Place[]>([]);
  const [isAdding, setAdding] = useState(false);
  const first = grants.length === 0 && more.length === 0 ? [usual(me.tenants)] : [];
  const rows = places(grants, [...more, ...first]);
  return (
    <div className="flex flex-col gap-2">
      <div className="relative overflow-x-auto rounded-md border border-line">
        <table className="w-full max-sm:table-fixed">
          <caption className="sr-only">Roles by client and environment</caption>
          <thead>
            <tr className="bg-sunken">
              <th
                scope="col"
                className="eyebrow px-3 py-1.5 text-left max-sm:w-[28%] max-sm:px-2 max-sm:tracking-normal"
              >
                Client, environment
              </th>
              {ROLES.map((role) => (
                <th
                  key={role}
                  scope="col"
                  className="eyebrow px-1.5 py-1.5 text-center max-sm:px-0 max-sm:normal-case! max-sm:tracking-normal!"
                >
                  <span className="inline-block first-letter:uppercase">{role}</span>
                </th>
              ))}
              <th className="w-8" aria-label="Take away" />
            </tr>
          </thead>
          <tbody>
            {rows.map((place) => {
              const reason = denied(me, place);
              const words = placeWords(place);
              return (
                <tr key={`${place.tenant} ${place.environment}`} className="border-t border-line">
                  <th scope="row" className="px-2 py-1 sm:px-3 text-left font-normal">
                    <span className={cx("break-all", place.tenant === ALL && "italic")}>
                      {words}
                    </span>
                  </th>
                  {ROLES.map((role) => {
                    const by = covering(grants, role, place);
                    const box = (
                      <input
                        type="checkbox"
                        className={cx("size-4 accent-(--sun-ink)", reason && "opacity-50")}
                        aria-label={`${role} of ${words}`}
                        aria-disabled={reason ? true : undefined}
                        checked={has(grants, role, place)}
                        onChange={() => !reason && onChange(switched(grants, role, place))}
                      />
                    );
                    const note =
                      reason ??
                      (by && !has(grants, role, place)
                        ? `Has it as ${by.role} of ${placeWords(by)}`
                        : undefined);
                    return (
                      <td key={role} className="px-1.5 py-1 text-center">
                        <span className="inline-grid size-6 place-items-center">
                          {note ? <Tooltip text={note}>{box}</Tooltip> : box}
                        </span>
                      </td>
                    );
                  })}
                  <td className="pr-1">
                    <IconButton
                      icon={X}
                      size="sm"
                      label={`Take away everything in ${words}`}
                      disabledReason={reason}
                      onClick={() => {
                        setMore(more.filter((each) => placeWords(each) !== words));
                        onChange(grants.filter((each) => placeWords(each) !== words));
                      }}
                    />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {isAdding ? (
        <AddPlace
          onAdd={(place) => {
            setMore([...more, place]);
            setAdding(false);
          }}
          onCancel={() => setAdding(false)}
        />
      ) : (
        <Button size="sm" icon={Plus} className="self-start" onClick={() => setAdding(true)}>
          Client or environment
        </Button>
      )}
    </div>
  );
}

function usual(tenants: readonly string[]): Place {
  return { tenant: tenants.includes(ALL) ? ALL : (tenants[0] ?? ALL), environment: ALL };
}

function AddPlace({ onAdd, onCancel }: { onAdd: (place: Place) => void; onCancel: () => void }) {
  const [tenant, setTenant] = useState("");
  const [environment, setEnvironment] = useState("");
  const tenants = useTenants();
  const id = useId();
  const add = () => onAdd({ tenant: tenant.trim() || ALL, environment: environment.trim() || ALL });
  // Not a form: it stands inside of one.
  const onEnter = (event: { key: string; preventDefault: () => void }) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  };
  return (
    <div className="flex flex-wrap items-end gap-2">
      <label className="min-w-0 flex-1 basis-36 text-sm text-soft" htmlFor={`${id}-c`}>
        Client
        <input
          id={`${id}-c`}
          className="field mt-1"
          placeholder="all clients"
          list={`${id}-clients`}
          autoComplete="off"
          value={tenant}
          onKeyDown={onEnter}
          onChange={(event) => setTenant(event.target.value)}
        />
      </label>
      <datalist id={`${id}-clients`}>
        {tenants.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      <label className="min-w-0 flex-1 basis-36 text-sm text-soft" htmlFor={`${id}-e`}>
        Environment
        <input
          id={`${id}-e`}
          className="field mt-1"
          placeholder="all of them"
          autoComplete="off"
          value={environment}
          onKeyDown={onEnter}
          onChange={(event) => setEnvironment(event.target.value)}
        />
      </label>
      <Button onClick={add}>Add the row</Button>
      <Button kind="quiet" onClick={onCancel}>
        Cancel
      </Button>
    </div>
  );
}

/** Grants in a line: `operator` of `acme`. */
export function GrantBadges({ grants }: { grants: readonly Grant[] }) {
  if (grants.length === 0) return <span className="text-faint">nothing</span>;
  return (
    <span className="inline-flex flex-wrap gap-1">
      {grants.map((each) => (
        <Badge key={`${each.role} ${placeWords(each)}`}>
          {each.role}
          <span className="pl-1">· {placeWords(each)}</span>
        </Badge>
      ))}
    </span>
  );
}
