import { resolveClientOptions } from "../options.js";
import type { SettledClientConfig } from "./config.js";
import type { LocalTarget } from "./file-url.js";
import { LocalClient } from "./local-client.js";

/** A client for a storage's own file: a new one can give space back step by step, and nothing deleted stays in it. */
export function openLocalClient(
  config: SettledClientConfig,
  target: LocalTarget,
  { keepsJournal = false }: { readonly keepsJournal?: boolean } = {},
): LocalClient {
  const options = { ...resolveClientOptions(config), ...target, encryptionKey: config.encryptionKey };
  return new LocalClient({ ...options, incrementalVacuum: true, erasesDeleted: true, keepsJournal });
}
