import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { SignIn } from "@/screens/access/sign-in";

export const Route = createFileRoute("/sign-in")({
  validateSearch: (search: Search): { back?: string; problem?: string } =>
    compact({ back: text(search, "back"), problem: text(search, "problem") }) as {
      back?: string;
      problem?: string;
    },
  component: SignIn,
});
