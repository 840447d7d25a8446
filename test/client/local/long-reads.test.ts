import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ResultSet } from "@libsql/client";
import { expect, test } from "vitest";
import { nextTurns, openTestClient } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

type Scan = { scan(sql: string): Promise<ResultSet> };

/** Takes a second or so. */
const LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000000) SELECT count(*) FROM n";

test("no two queries that run off the event loop, one after the other, end in one turn of it", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(`file:${db.path}`);
  const { scan } = client as unknown as Scan;
  let isOver = false;
  const ended = [0, 0];
  let most = 0;
  const turn = () => {
    most = Math.max(most, ...ended);
    ended.fill(0);
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const loops = ended.map(async (_, loop) => {
    for (let query = 0; query < 300; query++) {
      await scan.call(client, "SELECT 1");
      ended[loop]!++;
      // While the results of one loop are used, the other loop gets its own.
      for (let i = 0; i < 1000; i++) JSON.stringify({ i, text: "some work" });
    }
  });
  await Promise.all(loops);
  isOver = true;
  turn();
  expect(most).toBe(1);
});

test("a garbage collection does not wait for a query that runs off the event loop", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(`file:${db.path}`, { readers: 1 });
  const { scan } = client as unknown as Scan;
  // Each text is prepared once, with what else that takes on the connection.
  for (let i = 0; i < 3; i++) await scan.call(client, `SELECT ${i}`);
  let isDone = false;
  const long = scan.call(client, LONG).then(() => {
    isDone = true;
  });
  // Until the query runs.
  await nextTurns(10);
  collectGarbage();
  await nextTurns(10);
  expect(isDone).toBe(false);
  await long;
});
