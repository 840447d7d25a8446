import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { CheckpointMessage, StatementMessage, TransactionMessage, WaitMessage } from "holdfast/client";

interface Messages {
  readonly statement: StatementMessage[];
  readonly transaction: TransactionMessage[];
  readonly wait: WaitMessage[];
  readonly checkpoint: CheckpointMessage[];
}

/** Collects the messages of all channels until the end of the test, with `using`. */
export function listen(): Messages & Disposable {
  const messages: Messages = { statement: [], transaction: [], wait: [], checkpoint: [] };
  const listeners = Object.entries(messages).map(
    ([name, list]) => [`holdfast:${name}`, (message: unknown) => void list.push(message)] as const,
  );
  for (const [name, listener] of listeners) subscribe(name, listener);
  return {
    ...messages,
    [Symbol.dispose]() {
      for (const [name, listener] of listeners) unsubscribe(name, listener);
    },
  };
}
