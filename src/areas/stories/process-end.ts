/** Something with work that must be done before the process ends by itself. */
export interface EndsWithWork {
  /** Resolves to the names of the work that could not be done. */
  saveAtEnd(): Promise<string[]>;
}

const waiting = new Set<EndsWithWork>();
let isListening = false;

/** Has `saveAtEnd` run when the event loop is empty: not after a signal or `process.exit()`, which leave no time. */
export function saveAtEnd(one: EndsWithWork): void {
  waiting.add(one);
  if (isListening || typeof globalThis.process?.on !== "function") return;
  isListening = true;
  process.on("beforeExit", saveAll);
}

export function forgetAtEnd(one: EndsWithWork): void {
  waiting.delete(one);
}

/** The event comes again once this work is done; nothing is tried twice. */
function saveAll(): void {
  for (const one of waiting) {
    one.saveAtEnd().then(
      (failed) => {
        if (failed.length > 0) process.emitWarning(`Not saved at the end of the process: ${failed.join(", ")}`);
      },
      () => undefined,
    );
  }
}
