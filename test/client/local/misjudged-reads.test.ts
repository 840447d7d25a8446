import { expect, test } from "vitest";
import { openTestClient } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

const OPTIMIZE = "SELECT optimize(f) FROM f LIMIT 1";

// Regression: the client changed the parse result of the SQL text, which all clients of the process share.
test("a SELECT that writes runs on the writer, and other clients still run the same text as a read", async () => {
  await using one = await tempDatabase();
  await using two = await tempDatabase();
  await using writing = openTestClient(one.url);
  await using reading = openTestClient(two.url);
  for (const client of [writing, reading]) {
    await client.execute("CREATE VIRTUAL TABLE f USING fts4(a)");
    await client.execute("INSERT INTO f VALUES ('x')");
  }
  await writing.execute("INSERT INTO f VALUES ('y')");
  for (const expected of ["Index optimized", "Index already optimal"]) {
    const before = writing.stats().writes.commits;
    expect((await writing.execute(OPTIMIZE)).rows[0]![0]).toBe(expected);
    expect(writing.stats().writes.commits).toBe(before + 1);
  }
  const before = reading.stats().writes.commits;
  expect((await reading.execute(OPTIMIZE)).rows[0]![0]).toBe("Index already optimal");
  expect(reading.stats().writes.commits).toBe(before);
});
