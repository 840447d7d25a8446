import { defineConfig } from "drizzle-kit";

// The `turso` dialect of drizzle-kit 0.31 writes wrong ALTER COLUMN and index SQL; `sqlite` suits libSQL files.
export default defineConfig({
  dialect: "sqlite",
  schema: "./src/schema/index.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env.HOLDFAST_URL ?? "file:holdfast.db" },
});
