import type { QueryClient } from "@tanstack/react-query";
import { call } from "@/api/client";
import { ApiError } from "@/api/problem";

/**
 * End the session here, and where the provider of identities has one, lead there to end it too.
 *
 * The page is loaded anew, so that nothing of what was shown stays in memory.
 */
export async function signOut(queries: QueryClient): Promise<void> {
  let next = "/sign-in?signed_out=1";
  try {
    const ended = await call<{ provider?: string | null } | undefined>(
      "POST",
      "/api/v1/auth/logout",
    );
    if (ended?.provider) next = ended.provider;
  } catch (error) {
    // Who is signed out already wants nothing else.
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  }
  queries.clear();
  location.assign(next);
}
