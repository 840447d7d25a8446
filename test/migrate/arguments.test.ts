import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import {
  accept,
  adopt,
  baseline,
  currentVersion,
  findMissingObjects,
  migrate,
  restoreMissingObjects,
  revert,
  status,
  verify,
} from "holdfast/migrate";
import { expect, test } from "vitest";
import { rejection } from "../support/clients.js";

type Call = (client: unknown, options?: unknown) => Promise<unknown>;
const calls = {
  accept,
  adopt,
  baseline,
  currentVersion,
  findMissingObjects,
  migrate,
  restoreMissingObjects,
  revert,
  status,
  verify,
};

// "Cannot read properties of undefined (reading 'dryRun')", and "e.execute is not a function".
test.each(Object.entries(calls))("%s says what it expects as client and as options", async (name, function_) => {
  const call = function_ as unknown as Call;
  await using storage = await openStorage(":memory:");
  const client = createClient({ url: ":memory:" });
  const wrong = async (value: unknown, options: unknown = { folder: "x" }) => {
    const error = await rejection((async () => call(value, options))());
    expect(error).toBeInstanceOf(TypeError);
    return (error as Error).message;
  };
  expect(await wrong(storage)).toBe("Expected `client` to be a client, got a storage: pass storage.client");
  expect(await wrong(storage.db)).toMatch(/got a Drizzle database: pass its client/);
  expect(await wrong("file:a.db")).toBe(
    'Expected `client` to be a client, got "file:a.db": pass createClient({ url })',
  );
  expect(await wrong(undefined)).toMatch(/^Expected `client` to be a client, .*, got undefined$/);
  for (const options of [undefined, null, "drizzle"]) {
    const error = await rejection((async () => call(client, options))());
    expect(error).toMatchObject({ name: "TypeError" });
    expect((error as Error).message).toMatch(`Expected the options of ${name}() to be an object, got `);
  }
  if (name !== "adopt") {
    const extra = { accept: { tag: "x" }, baseline: { to: "x" }, revert: { steps: 1 } }[name];
    expect(await wrong(client, { ...extra })).toBe(
      "Expected `folder`, the path of the migrations, or `migrations`, got neither",
    );
  }
  await client.close();
});
