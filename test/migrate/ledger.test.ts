import { expect, test } from "vitest";
import { clientQuery, createLedgerSql, insertLedgerSql, readLedger } from "../../src/migrate/ledger.js";
import { openSecond, openTestClient } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const TABLE = 'odd "name"';
const STEP = { tag: "0000_a", when: 1_700_000_000_000, hash: "abc", sql: "", path: "" };

test("a ledger is missing, then empty, then lists the inserted entries, and its name may be any", async () => {
  await using temp = await tempDatabase();
  await using client = openTestClient(temp.url, { intMode: "bigint" });
  const read = () => readLedger(clientQuery(client), TABLE);
  expect(await read()).toBeUndefined();
  await client.execute(createLedgerSql(TABLE));
  expect(await read()).toEqual([]);
  await client.execute(insertLedgerSql(TABLE, STEP));
  expect(await read()).toEqual([{ hash: "abc", when: 1_700_000_000_000 }]);
});

test("a ledger that another process creates between two reads is read", async () => {
  // One of six processes on a new file failed with "no such table", because another one created the ledger at that
  // moment.
  await using temp = await tempDatabase();
  await using client = openTestClient(temp.url);
  const query = clientQuery(client);
  let reads = 0;
  const interrupted = async (sql: string) => {
    if (reads++ === 1) {
      using other = openSecond(temp.path);
      other.exec(`${createLedgerSql(TABLE)}; ${insertLedgerSql(TABLE, STEP)}`);
    }
    return query(sql);
  };
  expect(await readLedger(interrupted, TABLE)).toEqual([{ hash: "abc", when: STEP.when }]);
});
