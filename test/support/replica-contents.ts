import { type Client, createClient } from "@libsql/client";
import { type Child, startChild } from "./child.js";

/** Statements whose results together are the whole content of a database, including full-text indexes. */
export async function contentStatements(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    const tables = await client.execute(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite_stat%' ORDER BY name",
    );
    const statements = ["SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"];
    for (const { name } of tables.rows) {
      const columns = await client.execute({ sql: "SELECT name FROM pragma_table_info(?)", args: [name as string] });
      const values = columns.rows.map((row) => `quote("${row.name}")`).join(" || ',' || ");
      statements.push(`SELECT ${values} FROM "${name}" ORDER BY 1`);
    }
    return statements;
  });
}

/** The whole content of the database of a server. */
export async function serverContents(url: string, statements: readonly string[]): Promise<unknown[][]> {
  return withClient(url, async (client) => {
    const results = await client.batch([...statements], "read");
    return results.map(({ rows, columns }) => rows.map((row) => columns.map((_, i) => row[i])));
  });
}

/** The statements whose results differ, shortened. */
export function differences(
  statements: readonly string[],
  one: readonly unknown[][],
  other: readonly unknown[][],
): string[] {
  return statements.flatMap((statement, i) => {
    if (JSON.stringify(one[i]) === JSON.stringify(other[i])) return [];
    return [`${statement.slice(-80)}: ${one[i]?.length} rows against ${other[i]?.length}`];
  });
}

interface ReplicaFileState {
  readonly integrity: readonly string[];
  readonly answers: readonly unknown[][];
}

/** Reads the file of a replica in a separate process, as often as requested. */
export interface ReplicaFileReader extends AsyncDisposable {
  read(statements: readonly string[]): Promise<ReplicaFileState>;
}

export function readReplicaFile(path: string): ReplicaFileReader {
  const child: Child = startChild("replica-file", { path });
  let count = 0;
  return {
    read(statements) {
      const id = ++count;
      child.send({ id, statements });
      return child.message<ReplicaFileState & { id: number }>((message) => message.id === id);
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = createClient({ url });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
