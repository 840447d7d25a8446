import type { MigrationLogger } from "../migrate/options.js";
import type { Output } from "./output.js";

/** Notes what a migration waits for. The result of the command says the rest. */
export function waitingLogger(output: Output): MigrationLogger {
  return {
    info(message) {
      if (message.startsWith("Waiting ")) output.note(message);
    },
  };
}
