import { readFileSync } from "node:fs";
import { createClient } from "holdfast/client";
import { migrate, readJournal, revert, status } from "holdfast/migrate";
import { expect, test } from "vitest";
import { embeddedMigrations } from "../../scripts/embed-migrations.mjs";
import { OWN_MIGRATIONS } from "../../src/schema/own-migrations.js";
import { VERSION } from "../../src/shared/version.js";
import { tempDatabase } from "../support/temp.js";

const root = new URL("../../", import.meta.url);
const text = (path: string) => readFileSync(new URL(path, root), "utf8");

test("the migrations in the code are those of drizzle/, and the version is that of package.json", () => {
  expect(text("src/shared/holdfast-migrations.ts")).toBe(embeddedMigrations());
  const folder = readJournal(new URL("drizzle", root)).map(({ tag, when, sql }) => ({ tag, when, sql }));
  expect(OWN_MIGRATIONS.migrations.map(({ tag, when, sql }) => ({ tag, when, sql }))).toEqual(folder);
  expect(OWN_MIGRATIONS.migrations.map(({ down }) => down)).toEqual(
    folder.map(({ tag }) => text(`drizzle/${tag}.down.sql`)),
  );
  expect(VERSION).toBe(JSON.parse(text("package.json")).version);
});

test("what one applies, the other reverts: migrations in the code, and the same in drizzle/", async () => {
  await using temp = await tempDatabase();
  const client = createClient({ url: temp.url });
  const folder = new URL("drizzle", root);
  const tags = OWN_MIGRATIONS.migrations.map(({ tag }) => tag);
  try {
    expect((await migrate(client, OWN_MIGRATIONS)).applied).toEqual(tags);
    expect(await status(client, { folder })).toMatchObject({ pending: [], changed: [], unknown: [] });
    await revert(client, { folder, steps: 2 });
    expect((await migrate(client, { folder })).applied).toEqual(tags.slice(-2));
    await revert(client, { ...OWN_MIGRATIONS, steps: Number.POSITIVE_INFINITY });
    expect((await status(client, { folder })).applied).toEqual([]);
  } finally {
    await client.close();
  }
});
