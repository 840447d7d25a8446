import type { SettledClientConfig } from "../config.js";
import { type LocalTarget, MEMORY } from "../file-url.js";
import { resolveClientOptions } from "../options.js";
import { LocalClient } from "./local-client.js";
import type { ReadOnly } from "./read-only.js";

/** A client for a storage's own file: a new one can give space back step by step, and nothing deleted stays in it. */
export function openLocalClient(
  config: SettledClientConfig,
  target: LocalTarget,
  {
    keepsJournal = false,
    readOnly,
  }: { readonly keepsJournal?: boolean; readonly readOnly?: ReadOnly | undefined } = {},
): LocalClient {
  const options = { ...resolveClientOptions(config), ...target, encryptionKey: config.encryptionKey };
  const own = { incrementalVacuum: true, erasesDeleted: true, keepsJournal };
  return new LocalClient({ ...options, ...own, readOnly: readOnly ?? options.readOnly });
}

/** A client for a new database in memory. It loads no network client, unlike `createClient`. */
export function openMemoryClient(): LocalClient {
  return new LocalClient({ ...resolveClientOptions({}), ...MEMORY, encryptionKey: undefined });
}
