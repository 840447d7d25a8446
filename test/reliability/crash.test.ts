import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { column, openTestClient } from "../support/clients.js";
import { seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { times } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

const KILLS = times(20, 50);

test(`${KILLS} kills of a writing process lose nothing acknowledged and leave nothing partial`, async () => {
  const random = seededRandom("crash");
  await using db = await tempDatabase();
  let acknowledged = 0;
  let unacknowledged = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const name = `run ${kill}`;
    const options = {
      durability: random.pick(["full", "relaxed"]),
      // Small logs, so that some kills hit checkpoints.
      checkpoint: { walBytes: random.pick([32 * 1024, 4 * 1024 * 1024]) },
    };
    const child = startChild("write-pairs", { url: db.url, name, options });
    await child.message<{ ready?: boolean }>(({ ready }) => ready === true);
    // The kill comes at a random moment of the writes.
    await new Promise((resolve) => setTimeout(resolve, random.below(120)));
    child.kill();
    expect((await child.exited).signal).toBe("SIGKILL");
    const stored = (child.messages as { stored?: number }[]).flatMap((message) => message.stored ?? []);
    await using client = openTestClient(db.url);
    const counts = await client.execute({
      sql: "SELECT n, count(*) AS rows, sum(half) AS halves FROM pairs WHERE writer = ? GROUP BY n",
      args: [name],
    });
    const found = new Set(counts.rows.map(({ n }) => n));
    const where = `kill ${kill}, HOLDFAST_SEED=${random.seed}`;
    expect(
      counts.rows.filter((row) => row.rows !== 2 || row.halves !== 3),
      `partial, ${where}`,
    ).toEqual([]);
    expect(
      stored.filter((n) => !found.has(n)),
      `lost, ${where}`,
    ).toEqual([]);
    acknowledged += stored.length;
    unacknowledged += found.size - stored.length;
    if (kill % 10 === 9) expect(await column(client, "PRAGMA integrity_check"), where).toEqual(["ok"]);
  }
  console.log(`${acknowledged} acknowledged, all there; ${unacknowledged} committed and not yet acknowledged`);
  report({ what: "kill -9 of a writing process", tried: KILLS, unit: "kills", lost: 0 });
  expect(acknowledged).toBeGreaterThan(KILLS);
});
