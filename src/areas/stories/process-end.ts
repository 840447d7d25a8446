/** An object with work to do before the natural end of the process. */
export interface EndsWithWork {
  /** Resolves to the names of the work that failed. */
  saveAtEnd(): Promise<string[]>;
}

const waiting = new Set<EndsWithWork>();
let isListening = false;

/** Runs `saveAtEnd` when the event loop is empty; a signal and `process.exit()` leave no time for it. */
export function saveAtEnd(one: EndsWithWork): void {
  waiting.add(one);
  if (isListening || typeof globalThis.process?.on !== "function") return;
  isListening = true;
  process.on("beforeExit", saveAll);
}

export function forgetAtEnd(one: EndsWithWork): void {
  waiting.delete(one);
}

/** The event fires again after this work; each edit is tried once. */
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
