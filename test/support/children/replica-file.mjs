// Reads the file of a replica like another program. Reports its integrity and its rows for each line of input.
import { createInterface } from "node:readline";
import { createClient } from "@libsql/client";

const { path } = JSON.parse(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  const { id, statements } = JSON.parse(line);
  const client = createClient({ url: `file:${path}` });
  try {
    const { rows } = await client.execute("PRAGMA integrity_check");
    const results = await client.batch(statements, "read");
    const answers = results.map((result) =>
      result.rows.map((row) => [...Array(result.columns.length).keys()].map((i) => row[i])),
    );
    console.log(JSON.stringify({ id, integrity: rows.map((row) => row[0]), answers }));
  } catch (error) {
    console.log(JSON.stringify({ id, integrity: [error.message], answers: [] }));
  } finally {
    client.close();
  }
}
