import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useId, useState } from "react";
import { call } from "@/api/client";
import { meQuery } from "@/api/me";
import { ApiError } from "@/api/problem";
import { Button } from "@/ui/button";
import { AccessFrame } from "./frame";

interface Methods {
  password: boolean;
  /** What the provider of identities is called. */
  oidc: string | null;
}

/** Why a sign-in at the provider ended here; the server's log says more. */
const PROBLEMS: Readonly<Record<string, string>> = {
  oidc_denied: "You turned back at the provider, or it did not let you in.",
  oidc_expired: "The sign-in took too long. Begin again.",
  oidc_failed: "The server could not finish the sign-in. Try again in a moment.",
  oidc_locked: "Your account is locked here. An administrator can unlock it.",
  oidc_no_role: "You are signed in at the provider, but none of your groups has a role here.",
  oidc_off: "Nobody signs in at a provider here.",
  oidc_provider: "The provider answered in a way that was not expected. Tell an administrator.",
  oidc_state: "This sign-in was not begun in this browser, or is over. Begin again.",
  oidc_token: "What the provider said of you could not be verified. Tell an administrator.",
  oidc_unreachable: "The provider cannot be reached. Try again in a moment.",
};

const route = getRouteApi("/sign-in");

/** Only pages of ours: a link to here must not lead elsewhere. */
export function safeBack(back: string | undefined): string {
  return back?.startsWith("/") && !back.startsWith("//") && !back.startsWith("/\\") ? back : "/";
}

export function SignIn() {
  const search = route.useSearch();
  const back = safeBack(search.back);
  const router = useRouter();
  const queries = useQueryClient();
  const { data: methods } = useQuery({
    queryKey: ["auth-methods"],
    queryFn: () => call<Methods>("GET", "/api/v1/auth/methods"),
  });
  const provider = methods?.oidc;
  const hasLocal = methods?.password !== false;
  const onDone = async () => {
    queries.removeQueries({ queryKey: meQuery.queryKey });
    await router.navigate({ href: back, replace: true });
  };
  return (
    <AccessFrame title="Sign in to Helios">
      {search.problem && (
        <p role="alert" className="mb-4 rounded-md bg-bad-wash px-3 py-2 text-sm text-bad">
          {PROBLEMS[search.problem] ?? "You could not be signed in."}
        </p>
      )}
      {provider && (
        <a
          href={`/api/v1/auth/oidc/start?to=${encodeURIComponent(back)}`}
          className="flex h-9 items-center justify-center rounded-md bg-primary font-medium text-on-primary hover:opacity-88"
        >
          Sign in with {provider}
        </a>
      )}
      {provider && hasLocal && (
        <p className="my-4 flex items-center gap-3 text-sm text-faint before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
          or
        </p>
      )}
      {hasLocal && <LocalForm onDone={onDone} />}
      <p className="mt-4 text-sm text-soft">
        No account yet? <code className="mono">helios serve</code> prints a one-time link at its
        first start; after that an administrator makes accounts.
      </p>
    </AccessFrame>
  );
}

function LocalForm({ onDone }: { onDone: () => Promise<void> }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const nameId = useId();
  const passwordId = useId();
  const submit = async () => {
    setBusy(true);
    setProblem("");
    try {
      await call("POST", "/api/v1/auth/login", { json: { name, password } });
      await onDone();
    } catch (error) {
      setProblem(error instanceof ApiError ? error.detail || error.title : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void submit();
      }}
    >
      <label htmlFor={nameId} className="text-sm text-soft">
        Name
        <input
          id={nameId}
          className="field mt-1 h-9"
          autoComplete="username"
          required
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <label htmlFor={passwordId} className="text-sm text-soft">
        Password
        <input
          id={passwordId}
          type="password"
          className="field mt-1 h-9"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
      </label>
      {problem && (
        <p role="alert" className="rounded-md bg-bad-wash px-3 py-2 text-sm text-bad">
          {problem}
        </p>
      )}
      <Button type="submit" kind="primary" busy={busy} className="mt-1 h-9">
        Sign in
      </Button>
    </form>
  );
}
