import type { InArgs } from "@libsql/client";
import type { BoundStatement } from "../sql/bound-statement.js";

/** Whether it leaves the database as it is. */
export function isRead({ statement }: BoundStatement): boolean {
  if (statement.kind === "read") return true;
  return statement.kind === "pragma" && statement.pragma?.value === undefined;
}

/** Whether it changes rows and no schema: such writes can share a transaction without affecting each other. */
export function isDml({ statement }: BoundStatement): boolean {
  return /^\s*(insert|update|delete|replace|with)\b/i.test(statement.sql);
}

/** The statement with its checked arguments: whole numbers as bigint, because the protocol sends numbers as REAL. */
export function toStock({ statement, args }: BoundStatement): { sql: string; args: InArgs } {
  return { sql: statement.sql, args: args as unknown as InArgs };
}
