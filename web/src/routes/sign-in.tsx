import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { SignIn } from "@/screens/access/sign-in";

export const Route = createFileRoute("/sign-in")({
  validateSearch: (search: Search): { back?: string } =>
    compact({ back: text(search, "back") }) as { back?: string },
  component: SignIn,
});
