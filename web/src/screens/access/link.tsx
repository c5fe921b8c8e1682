import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { call } from "@/api/client";
import { problemText } from "@/api/problem";
import { Skeleton } from "@/ui/states";
import { AccessFrame } from "./frame";

/** Signs in with the token of a one-time link, which stands behind `#` so that no server logs it. */
export function OneTimeLink() {
  const router = useRouter();
  const queries = useQueryClient();
  const [problem, setProblem] = useState("");
  const isSent = useRef(false);
  useEffect(() => {
    // A token works once, and in development effects run twice.
    if (isSent.current) return;
    isSent.current = true;
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    history.replaceState(history.state, "", location.pathname);
    if (!token) {
      setProblem("The link has no token: copy all of it, with what stands behind the #.");
      return;
    }
    call("POST", "/api/v1/auth/link", { json: { token } })
      .then(async () => {
        queries.clear();
        await router.navigate({ to: "/", replace: true });
      })
      .catch((error: unknown) => setProblem(problemText(error)));
  }, [queries, router]);
  return (
    <AccessFrame title={problem ? "This link does not work" : "Signing in"}>
      {problem ? (
        <div className="flex flex-col gap-3">
          <p role="alert">{problem}</p>
          <Link to="/sign-in" className="link">
            Sign in with an account
          </Link>
        </div>
      ) : (
        <Skeleton lines={2} />
      )}
    </AccessFrame>
  );
}
