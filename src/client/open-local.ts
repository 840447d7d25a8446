import { resolveClientOptions } from "../options.js";
import type { LocalTarget } from "./file-url.js";
import type { ClientConfig } from "./index.js";
import { LocalClient } from "./local-client.js";

/** A client for a storage's own file: a new one can give space back step by step. */
export function openLocalClient(config: ClientConfig, target: LocalTarget): LocalClient {
  const options = resolveClientOptions(config);
  return new LocalClient({ ...options, ...target, encryptionKey: config.encryptionKey, incrementalVacuum: true });
}
