import "./styles.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queryClient } from "./api/queries";
import { onSession } from "./api/session";
import { router } from "./app/router";
import { applyTheme } from "./lib/preferences";
import { Toaster } from "./ui/toast";

applyTheme();

onSession((event) => {
  if (event !== "signed_out" || location.pathname.startsWith("/sign-in")) return;
  const back = location.pathname + location.search;
  void router.navigate({ to: "/sign-in", search: { back, ended: "1" } });
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
      <Toaster />
    </QueryClientProvider>
  </StrictMode>,
);
