import { createFileRoute } from "@tanstack/react-router";
import { LetterPage } from "@/screens/dead-letters/letter-page";

export const Route = createFileRoute("/_console/dead-letters/$id")({ component: LetterPage });
