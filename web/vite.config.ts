import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import { mockBackEnd } from "./mock/back-end.ts";

const here = import.meta.dirname;

export default defineConfig({
  root: here,
  // Relative addresses: the pages work under any path of whatever serves them.
  base: "./",
  resolve: { alias: { "@chroom/client": resolve(here, "client/src/index.ts") } },
  build: {
    outDir: resolve(here, "dist"),
    emptyOutDir: true,
    target: "es2022",
    rollupOptions: {
      input: {
        index: resolve(here, "index.html"),
        demo: resolve(here, "demo/index.html"),
        explorer: resolve(here, "explorer/index.html"),
      },
    },
  },
  // `npm run dev` serves the pages with a mock network behind them (mock/), for work on the pages alone.
  plugins: [mockBackEnd()],
  test: {
    include: [
      "client/test/**/*.test.ts",
      "demo/**/*.test.ts",
      "explorer/**/*.test.ts",
      "shared/**/*.test.ts",
    ],
    environment: "node",
  },
});
