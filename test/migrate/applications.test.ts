import { fileURLToPath } from "node:url";
import { migrate, restoreMissingObjects } from "holdfast/migrate";
import { expect, test } from "vitest";
import { APPLICATIONS, type Version } from "../fixtures/applications.js";
import { startChild } from "../support/child.js";
import { column, openSecond, openTestClient } from "../support/clients.js";
import { addMigration, generateMigration } from "../support/drizzle-kit.js";
import { seededRandom } from "../support/random.js";
import { soakMinutes, times } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";
import { differences, readContents } from "./corpus/contents.js";

const TABLE = "app_migrations";
/** How often each step is killed. */
const KILLS = times(1, 20);
/** Longer than any of the steps takes on an idle machine. */
const LONGEST_MS = 25;

/** The versions whose SQL drizzle-kit writes, by application and number. */
const GENERATED = Object.entries(APPLICATIONS).flatMap(([app, versions]) =>
  versions.flatMap(({ sql }, index) => (sql === undefined ? [`${app}/${index}`] : [])),
);
/** Those of which `holdfast generate` runs the real drizzle-kit; its API writes the others, in a tenth of the time. */
const BY_COMMAND =
  soakMinutes === undefined ? [GENERATED[seededRandom("applications by command").below(GENERATED.length)]] : GENERATED;
const FIXTURES = fileURLToPath(new URL("../fixtures/applications.ts", import.meta.url));

/** The source of a module that exports the tables of a version. */
function schemaSource(app: string, index: number): string {
  const names = Object.keys(APPLICATIONS[app]![index]!.schema);
  const tables = names.map((name) => `export const ${name} = schema.${name};`);
  return [
    `import { APPLICATIONS } from ${JSON.stringify(FIXTURES)};`,
    `const { schema } = APPLICATIONS[${JSON.stringify(app)}][${index}];`,
    ...tables,
  ].join("\n");
}

type Client = ReturnType<typeof openTestClient>;

const contents = (client: Client) =>
  readContents(async (queries) => (await client.batch([...queries], "write")).map(({ rows }) => rows));

/** Brings a database from version to version: `step` migrates, and then the users of that version add their rows. */
async function evolve(
  client: Client,
  folder: string,
  versions: readonly Version[],
  step: (tag: string) => Promise<void>,
) {
  for (const [index, { name, rows }] of versions.entries()) {
    const tag = `${String(index).padStart(4, "0")}_${name}`;
    await step(tag);
    expect((await migrate(client, { folder, table: TABLE, to: tag })).applied.length).toBeLessThanOrEqual(1);
    for (const sql of rows) await client.execute(sql);
  }
}

test.each(Object.entries(APPLICATIONS))(
  "%s loses nothing in any of its versions, killed in each step",
  async (app, versions) => {
    const random = seededRandom("applications");
    await using temp = await tempDatabase();
    for (const [index, { name, schema, sql }] of versions.entries()) {
      if (BY_COMMAND.includes(`${app}/${index}`)) await generateMigration(temp, name, schemaSource(app, index));
      else await addMigration(temp, name, schema, sql?.join(";\n--> statement-breakpoint\n"));
    }
    const folder = `${temp.dir}/drizzle`;
    await using control = openTestClient(":memory:");
    await evolve(control, folder, versions, async () => undefined);
    const expected = await contents(control);

    await using client = openTestClient(temp.url);
    await evolve(client, folder, versions, async (tag) => {
      const before = await contents(client);
      for (let kill = 0; kill < KILLS; kill++) {
        const killAfterMs = random.below(LONGEST_MS);
        await using child = startChild("kill-while-migrating", {
          url: temp.url,
          folder,
          table: TABLE,
          to: tag,
          killAfterMs,
        });
        expect(await child.exited).toMatchObject({ signal: "SIGKILL" });
        using fresh = openSecond(temp.path);
        expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
        const ledger = await column(client, `SELECT count(*) FROM sqlite_schema WHERE name = '${TABLE}'`);
        const applied = ledger[0] === 0 ? [] : await column(client, `SELECT hash FROM ${TABLE}`);
        // Either all of it was committed, or nothing.
        if (applied.length > Number(tag.slice(0, 4))) break;
        expect(differences(await contents(client), before)).toEqual([]);
      }
    });
    expect(differences(await contents(client), expected)).toEqual([]);
    expect(await restoreMissingObjects(client, { folder, table: TABLE })).toEqual([]);

    // A new file of the last schema, as far as drizzle-kit knows it, has the same tables.
    await using other = await tempDatabase();
    await addMigration(other, "all", versions.at(-1)!.schema);
    await using newest = openTestClient(other.url);
    await migrate(newest, { folder: `${other.dir}/drizzle`, table: TABLE });
    const wanted = await contents(newest);
    const isDefinition = (key: string) => /^(table|columns of|foreign keys of) /.test(key);
    expect(differences(expected, wanted).filter(isDefinition)).toEqual([]);
  },
);
