import { LibsqlError } from "@libsql/client/sqlite3";
import { Fifo } from "../shared/fifo.js";
import { MAX_TIMER_MS, type Timer } from "../shared/timers.js";
import { OUTSIDE_CALL_ADVICE } from "./holders.js";

interface Waiter {
  readonly admit: () => void;
  readonly refuse: (error: Error) => void;
}

interface TurnOptions {
  readonly timeoutMs: number;
  /** What to reject with when the time is over. */
  readonly onTimeout: () => Error;
}

/** Admits up to `max` at a time, in the order of asking. */
export class Turns {
  readonly #max: number;
  readonly #waiting = new Fifo<Waiter>();
  #active = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get activeCount(): number {
    return this.#active;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Resolves, once it is this call's turn, to what ends the turn; calling that twice is harmless. */
  take({ timeoutMs, onTimeout }: TurnOptions): Promise<() => void> {
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const waiter: Waiter = {
        admit: () => {
          clearTimeout(timer);
          this.#active++;
          let hasEnded = false;
          resolve(() => {
            if (hasEnded) return;
            hasEnded = true;
            this.#active--;
            this.#admitNext();
          });
        },
        refuse: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      if (timeoutMs <= MAX_TIMER_MS) {
        timer = setTimeout(() => {
          this.#waiting.remove(waiter);
          waiter.refuse(onTimeout());
        }, timeoutMs);
      }
      this.#waiting.push(waiter);
      this.#admitNext();
    });
  }

  /** Refuses all that wait. */
  refuseAll(error: () => Error): void {
    for (let waiter = this.#waiting.shift(); waiter !== undefined; waiter = this.#waiting.shift())
      waiter.refuse(error());
  }

  #admitNext(): void {
    while (this.#active < this.#max) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next.admit();
    }
  }
}

export function acquireTimeout(timeoutMs: number): LibsqlError {
  return new LibsqlError(
    `Waited ${timeoutMs} ms (\`acquireTimeoutMs\`) for other writes and transactions of this client to end; nothing was sent. ${OUTSIDE_CALL_ADVICE}`,
    "ACQUIRE_TIMEOUT",
  );
}
