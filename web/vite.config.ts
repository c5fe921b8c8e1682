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

export default defineConfig({
  // The router's plugin reads tsr.config.json, as `npm run routes` does.
  plugins: [tanstackRouter(), react(), tailwindcss()],
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
