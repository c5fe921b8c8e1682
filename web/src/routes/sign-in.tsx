import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { SignIn } from "@/screens/access/sign-in";

export interface SignInSearch {
  /** Where to go afterwards. */
  back?: string;
  /** Why a sign-in at the provider failed. */
  problem?: string;
  /** The session has run out. */
  ended?: string;
  /** Somebody has just signed out. */
  signed_out?: string;
}

export const Route = createFileRoute("/sign-in")({
  validateSearch: (search: Search): SignInSearch =>
    compact({
      back: text(search, "back"),
      problem: text(search, "problem", 60),
      ended: text(search, "ended", 1),
      signed_out: text(search, "signed_out", 1),
    }) as SignInSearch,
  component: SignIn,
});
