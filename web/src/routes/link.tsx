import { createFileRoute } from "@tanstack/react-router";
import { OneTimeLink } from "@/screens/access/link";

export const Route = createFileRoute("/link")({ component: OneTimeLink });
