import type { Client } from "@libsql/client";
import { describeValue, expectation, isObject } from "../shared/expectation.js";

/** Throws TypeError unless the arguments of a call are a client and an object of options. */
export function expectArguments(call: string, client: unknown, options: unknown): asserts client is Client {
  expectClient(client);
  expectOptions(call, options);
}

export function expectOptions(call: string, options: unknown): void {
  if (isObject(options)) return;
  throw new TypeError(`Expected the options of ${call}() to be an object, got ${describeValue(options)}`);
}

function expectClient(client: unknown): void {
  if (typeof (client as Partial<Client> | null | undefined)?.execute === "function") return;
  const { client: own, $client: underlying } = (client ?? {}) as { client?: unknown; $client?: unknown };
  const isText = typeof client === "string" || client instanceof URL;
  if (isText) throw new TypeError(`${expectation("client", "a client", String(client))}: pass createClient({ url })`);
  if (underlying !== undefined) {
    throw new TypeError(
      "Expected `client` to be a client, got a Drizzle database: pass its client (storage.client, db.$client)",
    );
  }
  if (own !== undefined) throw new TypeError("Expected `client` to be a client, got a storage: pass storage.client");
  throw new TypeError(expectation("client", "a client, as of createClient() or storage.client", client));
}
