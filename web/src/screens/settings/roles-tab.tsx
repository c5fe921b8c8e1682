import { Check, Minus } from "lucide-react";
import { useMe } from "@/api/me";
import { cx } from "@/lib/cx";
import { Card } from "@/ui/card";
import { Column, SettingsFrame } from "./frame";
import { ROLES } from "./grants";
import { GrantBadges } from "./grants-matrix";

/** What each role may do, by what people come for; the API's rules say it operation by operation. */
const RIGHTS: readonly [what: string, more: string, roles: readonly string[]][] = [
  [
    "Read",
    "events, streams, stacks, drift, plans, builds, the audit",
    ["viewer", "operator", "approver", "admin"],
  ],
  [
    "Send events",
    "to the API, beside webhooks, which have secrets of their own",
    ["operator", "admin"],
  ],
  [
    "Operate",
    "declare stacks and contracts, plan, heal, replay, build, retry dead letters, switch guards",
    ["operator", "admin"],
  ],
  ["Approve", "agree to plans, refuse and revoke them", ["approver", "admin"]],
  [
    "Administer",
    "users, tokens, policies, sources, sites, subscribers and settings; for all clients the installation too",
    ["admin"],
  ],
];

export function RolesTab() {
  const me = useMe();
  const mine = new Set(me.kind === "local" ? ROLES : me.grants.map((each) => each.role));
  return (
    <SettingsFrame tab="roles">
      <Column>
        <section
          className="relative min-w-0 overflow-x-auto rounded-lg border border-line bg-card shadow-card"
          tabIndex={0}
          aria-label="Roles"
        >
          <table className="w-full max-sm:table-fixed sm:min-w-[34rem]">
            <thead>
              <tr>
                <th
                  scope="col"
                  className="eyebrow border-b border-line px-2 py-2 text-left sm:px-4"
                >
                  What
                </th>
                {ROLES.map((role) => (
                  <th
                    key={role}
                    scope="col"
                    className={cx(
                      "eyebrow w-[17%] border-b border-line px-1 py-2 text-center max-sm:normal-case! max-sm:tracking-normal! sm:w-24 sm:px-2",
                      mine.has(role) && "bg-sun-wash text-sun-ink",
                    )}
                  >
                    <span className="first-letter:uppercase inline-block">{role}</span>
                    {mine.has(role) && <span className="block normal-case">yours</span>}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {RIGHTS.map(([what, more, roles]) => (
                <tr key={what}>
                  <th
                    scope="row"
                    className="border-b border-line px-2 py-2 text-left font-normal sm:px-4"
                  >
                    <span className="font-medium">{what}</span>
                    <span className="block text-sm text-soft">{more}</span>
                  </th>
                  {ROLES.map((role) => (
                    <td
                      key={role}
                      className={cx(
                        "border-b border-line px-2 py-2 text-center",
                        mine.has(role) && "bg-sun-wash",
                      )}
                    >
                      {roles.includes(role) ? (
                        <>
                          <Check className="mx-auto size-4.5 text-good" aria-hidden />
                          <span className="sr-only">yes</span>
                        </>
                      ) : (
                        <>
                          <Minus className="mx-auto size-4 text-faint" aria-hidden />
                          <span className="sr-only">no</span>
                        </>
                      )}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
        <div className="grid gap-4 md:grid-cols-2">
          <Card title="Where a role holds">
            <ul className="flex list-disc flex-col gap-1 pl-4">
              <li>For one client, or for all of them and the installation.</li>
              <li>
                In one environment of stacks, or in all. To read needs no environment: who reads a
                client reads all of it.
              </li>
              <li>An operator proposes and an approver agrees: neither does the other's part.</li>
              <li>Nobody gives more than they have.</li>
            </ul>
          </Card>
          <Card title="What you have">
            {me.kind === "local" ? (
              <p>Access is switched off: whoever reaches this server may do everything.</p>
            ) : (
              <GrantBadges grants={me.grants} />
            )}
            <p className="mt-2 text-soft">
              What you may not do is shown and cannot be pressed; it names the role that would do.
            </p>
          </Card>
        </div>
      </Column>
    </SettingsFrame>
  );
}
