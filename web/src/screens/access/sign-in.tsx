import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useRouter } from "@tanstack/react-router";
import { Eye, EyeOff, LogIn } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";
import { call, type Schemas } from "@/api/client";
import { problemText } from "@/api/problem";
import { Button, IconButton } from "@/ui/button";
import { useTitle } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Command } from "@/ui/values";
import { safeBack } from "./back";
import { AccessFrame } from "./frame";

type Methods = Schemas["Methods"];

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

export function SignIn() {
  const search = route.useSearch();
  const back = safeBack(search.back, location.origin);
  const router = useRouter();
  const queries = useQueryClient();
  useTitle("Sign in");
  const methods = useQuery({
    queryKey: ["auth-methods"],
    queryFn: () => call<Methods>("GET", "/api/v1/auth/methods"),
  });
  const onDone = async () => {
    // Whatever was read was read by somebody else, or by nobody.
    queries.clear();
    await router.navigate({ href: back, replace: true });
  };
  if (methods.data?.auth === "off") return <NoNeed back={back} />;
  return (
    <AccessFrame title="Sign in to Helios">
      {search.problem && (
        <Note tone="bad">{PROBLEMS[search.problem] ?? "You could not be signed in."}</Note>
      )}
      {search.ended && !search.problem && (
        <Note tone="warn">Your session has ended. Sign in again to go on where you were.</Note>
      )}
      {search.signed_out && !search.problem && <SignedOut provider={methods.data?.oidc ?? null} />}
      {methods.error ? (
        <ErrorState error={methods.error} retry={() => void methods.refetch()} />
      ) : methods.data ? (
        <Ways methods={methods.data} back={back} onDone={onDone} />
      ) : (
        <Skeleton lines={6} />
      )}
    </AccessFrame>
  );
}

function Ways({
  methods,
  back,
  onDone,
}: {
  methods: Methods;
  back: string;
  onDone: () => Promise<void>;
}) {
  const provider = methods.oidc;
  return (
    <>
      {provider && (
        <a
          href={`/api/v1/auth/oidc/start?to=${encodeURIComponent(back)}`}
          className="flex h-9 items-center justify-center gap-2 rounded-md bg-primary font-medium text-on-primary hover:opacity-88"
        >
          <LogIn className="size-4" aria-hidden />
          Sign in with {provider}
        </a>
      )}
      {provider && methods.password && (
        <p className="my-4 flex items-center gap-3 text-sm text-faint before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
          or
        </p>
      )}
      {methods.password && <LocalForm isSecond={Boolean(provider)} onDone={onDone} />}
      <div className="mt-4 border-t border-line pt-3 text-sm text-soft">
        {methods.link ? (
          <>
            <p className="mb-2">
              Nobody administers this server yet. It printed a one-time link when it started;
              another one, on its machine:
            </p>
            <Command line="helios users link" />
          </>
        ) : (
          <p>No account, or no password any more? An administrator of this server makes both.</p>
        )}
      </div>
    </>
  );
}

function Note({ tone, children }: { tone: "bad" | "warn" | "good"; children: ReactNode }) {
  const ground = {
    bad: "bg-bad-wash text-bad",
    warn: "bg-warn-wash text-warn",
    good: "bg-good-wash text-good",
  };
  return (
    <p
      role={tone === "bad" ? "alert" : "status"}
      className={`mb-4 rounded-md px-3 py-2 text-sm ${ground[tone]}`}
    >
      {children}
    </p>
  );
}

/** The session here is over; that at the provider, if there is one, goes on until it is ended too. */
function SignedOut({ provider }: { provider: string | null }) {
  return (
    <Note tone="good">
      You are signed out.
      {provider && (
        <>
          {" "}
          At {provider} you may still be signed in:{" "}
          <a className="underline underline-offset-3" href="/api/v1/auth/oidc/logout">
            sign out there too
          </a>
          .
        </>
      )}
    </Note>
  );
}

function NoNeed({ back }: { back: string }) {
  return (
    <AccessFrame title="Nobody has to sign in">
      <p>Access is switched off at this server: whoever reaches it may do everything.</p>
      <Link to={back as never} className="link mt-3 inline-block">
        Go on
      </Link>
    </AccessFrame>
  );
}

function LocalForm({ isSecond, onDone }: { isSecond: boolean; onDone: () => Promise<void> }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [isShown, setShown] = useState(false);
  const [hasCaps, setCaps] = useState(false);
  const passwordField = useRef<HTMLInputElement>(null);
  const nameId = useId();
  const passwordId = useId();
  const problemId = useId();
  const watchCaps = (event: KeyboardEvent) => setCaps(event.getModifierState("CapsLock"));
  const submit = async () => {
    setBusy(true);
    setProblem("");
    try {
      await call("POST", "/api/v1/auth/login", { json: { name: name.trim(), password } });
      await onDone();
    } catch (error) {
      setProblem(problemText(error));
      passwordField.current?.select();
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
          autoCapitalize="none"
          spellCheck={false}
          // biome-ignore lint/a11y/noAutofocus: the page is there for this field alone
          autoFocus={!isSecond}
          required
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <div>
        <label htmlFor={passwordId} className="text-sm text-soft">
          Password
        </label>
        <div className="relative mt-1">
          <input
            id={passwordId}
            ref={passwordField}
            type={isShown ? "text" : "password"}
            className="field h-9 pr-10"
            autoComplete="current-password"
            required
            aria-describedby={problem ? problemId : undefined}
            aria-invalid={problem ? true : undefined}
            value={password}
            onKeyDown={watchCaps}
            onKeyUp={watchCaps}
            onChange={(event) => setPassword(event.target.value)}
          />
          <span className="absolute top-0.5 right-0.5">
            <IconButton
              icon={isShown ? EyeOff : Eye}
              label={isShown ? "Hide what is typed" : "Show what is typed"}
              onClick={() => setShown(!isShown)}
            />
          </span>
        </div>
        {hasCaps && <p className="mt-1 text-sm text-warn">Caps Lock is on.</p>}
      </div>
      {problem && (
        <p
          id={problemId}
          role="alert"
          className="rounded-md bg-bad-wash px-3 py-2 text-sm text-bad first-letter:uppercase"
        >
          {problem}
        </p>
      )}
      <Button type="submit" kind={isSecond ? "plain" : "primary"} busy={busy} className="mt-1 h-9">
        Sign in
      </Button>
    </form>
  );
}
