import { createFileRoute } from "@tanstack/react-router";
import { ViewPage } from "@/screens/views/view-page";

export const Route = createFileRoute("/_console/views/$name")({ component: ViewPage });
