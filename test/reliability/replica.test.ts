import { expect, test } from "vitest";
import { seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { runReplica } from "../support/replica-weather.js";
import { SOAK_TIMEOUT_MS, soakMinutes } from "../support/soak.js";

test(
  "an embedded replica on a bad connection, with kills of server and client, is complete and up to date after each fetch",
  async () => {
    const random = seededRandom("replica");
    const seconds = soakMinutes === undefined ? 15 : soakMinutes * 60;
    const rounds = soakMinutes === undefined ? 8 : Number.POSITIVE_INFINITY;
    const { wrong, ...run } = await runReplica({ random, rounds, seconds });
    console.log(`replica: ${JSON.stringify(run)}`);
    const { synced, faults, serverKills, clientKills, acknowledged } = run;
    const note = `${acknowledged} acknowledged writes, ${faults} faults, ${serverKills} server and ${clientKills} client kills`;
    report({ what: "an embedded replica on a bad line", tried: synced, unit: "fetches", lost: wrong.length, note });
    expect(wrong, `HOLDFAST_SEED=${random.seed}`).toEqual([]);
    expect(synced).toBeGreaterThan(0);
  },
  SOAK_TIMEOUT_MS,
);
