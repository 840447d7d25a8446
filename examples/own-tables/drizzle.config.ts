import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env.HOLDFAST_URL ?? "file:app.db" },
  // A separate ledger, because Holdfast uses __drizzle_migrations.
  migrations: { table: "app_migrations" },
});
