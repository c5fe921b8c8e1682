import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import { tanstackRouter } from "@tanstack/router-plugin/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** The server that answers while the page is being written: `helios serve --port …`. */
const server = process.env.HELIOS_URL ?? "http://127.0.0.1:8420";

/**
 * What is one file, though some page may need less of it: packed together it weighs less than in many
 * small files, which cost a request each. The framework, icons, and what most screens are made of.
 */
const TOGETHER = [
  {
    name: "framework",
    test: /node_modules\/(react|react-dom|scheduler|@tanstack\/(react-router|router-core|history|store|react-store|react-query|query-core)|use-sync-external-store|openapi-fetch|clsx)\//,
  },
  { name: "icons", test: /node_modules\/lucide-react\//, minShareCount: 2 },
  { name: "common", test: /\/src\/(ui|lib|api|app)\//, minShareCount: 16 },
];

/**
 * Sets the theme before the first paint: a script of its own, at the head, that is not deferred.
 * What is part of the bundle comes later than the first paint, and inline scripts are forbidden.
 */
function firstTheme() {
  let fileId = "";
  return {
    name: "first-theme",
    apply: "build" as const,
    buildStart(this: { emitFile: (file: object) => string }) {
      const source = readFileSync(new URL("./src/first-theme.js", import.meta.url), "utf8");
      fileId = this.emitFile({ type: "asset", name: "first-theme.js", source });
    },
    transformIndexHtml: {
      order: "post" as const,
      handler(this: { getFileName: (id: string) => string }) {
        const src = `/${this.getFileName(fileId)}`;
        return [{ tag: "script", attrs: { src }, injectTo: "head-prepend" as const }];
      },
    },
  };
}

export default defineConfig({
  // The router's plugin reads tsr.config.json, as `npm run routes` does.
  plugins: [tanstackRouter(), react(), tailwindcss(), firstTheme()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: process.env.HELIOS_UI_OUT ?? "../src/helios/api/web_dist",
    emptyOutDir: true,
    sourcemap: false,
    // A data: URL would need an exception in the content security policy.
    assetsInlineLimit: 0,
    target: "es2022",
    reportCompressedSize: false,
    rolldownOptions: { output: { codeSplitting: { groups: TOGETHER } } },
  },
  worker: { format: "es" },
  server: {
    proxy: Object.fromEntries(
      [
        "/api",
        "/graphql",
        "/openapi.json",
        "/docs",
        "/pages",
        "/health",
        "/ready",
        "/favicon.svg",
      ].map((path) => [
        path,
        // The server takes a write only from its own origin, by its own name.
        { target: server, changeOrigin: true, headers: { origin: server } },
      ]),
    ),
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
