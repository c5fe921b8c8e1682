import { Link, useRouter } from "@tanstack/react-router";
import { MapPinOff, ShieldAlert } from "lucide-react";
import { useMe } from "@/api/me";
import { ApiError } from "@/api/problem";
import { EmptyState, ErrorState } from "@/ui/states";

/** A page that could not be shown: as one may not, as it is not there, or as something failed. */
export function RouteProblem({ error, reset }: { error: unknown; reset: () => void }) {
  const router = useRouter();
  const again = () => {
    reset();
    void router.invalidate();
  };
  if (error instanceof ApiError && error.status === 403) return <Forbidden error={error} />;
  if (error instanceof ApiError && error.status === 404) return <Gone error={error} />;
  return <ErrorState error={error} retry={again} />;
}

function Forbidden({ error }: { error: ApiError }) {
  const me = useMe();
  const roles = [
    ...new Set(
      me.grants.map(
        (each) => `${each.role} of ${each.tenant === "*" ? "all clients" : each.tenant}`,
      ),
    ),
  ];
  return (
    <>
      <h1 className="sr-only">Not allowed</h1>
      <EmptyState
        icon={ShieldAlert}
        title="You may not see this"
        why={
          <>
            <span className="block first-letter:uppercase">{error.detail || error.title}.</span>
            You are signed in as <b className="font-medium text-ink">{me.name}</b>
            {roles.length > 0 ? `: ${roles.join(", ")}.` : ", without any role."} An administrator
            can give you more.
          </>
        }
        action={
          <span className="flex gap-4">
            <Link to="/" search={{}} className="link">
              Go to the overview
            </Link>
            <Link
              to="/settings/$tab"
              params={{ tab: "roles" }}
              search={{} as never}
              className="link"
            >
              What roles may do
            </Link>
          </span>
        }
      />
    </>
  );
}

function Gone({ error }: { error: ApiError }) {
  return (
    <>
      <h1 className="sr-only">Not found</h1>
      <EmptyState
        icon={MapPinOff}
        title="This is not here"
        why={
          <span className="inline-block first-letter:uppercase">
            {error.detail || "It may be gone, be of another client, or not be yours to see."}
          </span>
        }
        action={
          <Link to="/" search={{}} className="link">
            Go to the overview
          </Link>
        }
      />
    </>
  );
}
