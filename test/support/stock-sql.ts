import { execFileSync } from "node:child_process";

const PROGRAM = `const { createRequire } = require("node:module");
  const Database = createRequire(require.resolve("@libsql/client"))("libsql");
  const db = new Database(process.argv[1]);
  for (const sql of process.argv.slice(2)) db.exec(sql);
  process.exit(0);`;

/** Runs SQL on a file with the plain binding, in a process that ends without closing it. */
export function runSql(path: string, ...statements: string[]): void {
  execFileSync(process.execPath, ["-e", PROGRAM, path, ...statements], { cwd: process.cwd() });
}
