import { describe, expect, test } from "vitest";
import { InFlight } from "../../src/shared/in-flight.js";
import { SharedRun, Turn } from "../../src/shared/turn.js";

/** A task that ends when the test says so. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe("Turn", () => {
  test("calls run one at a time, in the order in which they ask, also after one that failed", async () => {
    const turn = new Turn();
    const events: string[] = [];
    const first = gate();
    const one = turn.run(async () => {
      events.push("one begins");
      await first.opened;
      events.push("one ends");
      throw new Error("one failed");
    });
    const others = [2, 3].map((number) => turn.run(() => events.push(`${number}`)));
    expect([turn.activeCount, turn.waitingCount]).toEqual([1, 2]);
    first.open();
    await expect(one).rejects.toThrow("one failed");
    await Promise.all(others);
    expect(events).toEqual(["one begins", "one ends", "2", "3"]);
    expect([turn.activeCount, turn.waitingCount]).toEqual([0, 0]);
  });

  test("a free turn runs a synchronous task at once", () => {
    const turn = new Turn();
    let hasRun = false;
    void turn.run(() => {
      hasRun = true;
    });
    expect([hasRun, turn.activeCount]).toEqual([true, 0]);
  });

  test("up to `max` calls run at a time", async () => {
    const turn = new Turn(2);
    expect([turn.take(), turn.take()]).toEqual([undefined, undefined]);
    const third = turn.take();
    turn.pass();
    await third;
    expect([turn.activeCount, turn.waitingCount]).toEqual([2, 0]);
  });

  test("a waiter whose time is over is rejected, and its turn goes to the next one", async () => {
    const turn = new Turn();
    turn.take();
    const late = turn.take({ timeoutMs: 1, onTimeout: () => new Error("late") });
    const next = turn.take({ timeoutMs: Number.POSITIVE_INFINITY, onTimeout: () => new Error("never") });
    await expect(late).rejects.toThrow("late");
    turn.pass();
    await next;
    expect([turn.activeCount, turn.waitingCount]).toEqual([1, 0]);
  });

  test("refuseAll rejects the waiters and leaves the running call alone", async () => {
    const turn = new Turn();
    turn.take();
    const waiting = [turn.take(), turn.take()].map((queued) => expect(queued).rejects.toThrow("refused"));
    turn.refuseAll(() => new Error("refused"));
    await Promise.all(waiting);
    expect([turn.activeCount, turn.waitingCount]).toEqual([1, 0]);
  });
});

test("calls made during a shared run share the next one, which begins after it", async () => {
  const gates = [gate(), gate()];
  let runs = 0;
  const shared = new SharedRun(async () => {
    const run = runs++;
    await gates[run]!.opened;
    return run;
  });
  const calls = [shared.run(), shared.run(), shared.run()];
  expect(runs).toBe(1);
  gates[0]!.open();
  gates[1]!.open();
  await shared.settled();
  expect(await Promise.all(calls)).toEqual([0, 1, 1]);
});

test("calls in flight are waited for, including one that begins during the wait, whether they succeed or fail", async () => {
  const calls = new InFlight();
  const [first, second] = [gate(), gate()];
  let hasSettled = false;
  const failing = calls.track(first.opened.then(() => Promise.reject(new Error("failed"))));
  const settled = calls.settled().then(() => {
    hasSettled = true;
  });
  calls.track(second.opened);
  first.open();
  await expect(failing).rejects.toThrow("failed");
  expect(hasSettled).toBe(false);
  second.open();
  await settled;
});
