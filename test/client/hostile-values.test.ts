import { describe, expect, test } from "vitest";
import { runChild, startChild } from "../support/child.js";
import { openTestClient, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

test("a value of any type, in any place, comes back as it was or is refused; the process lives", async () => {
  await using db = await tempDatabase();
  for (const url of [db.url, ":memory:"]) {
    type Report = { counts: { same: number; refused: number; container: number }; wrong: string[]; active: number };
    const { counts, wrong, active } = await runChild<Report>("hostile-values", { url });
    expect(wrong).toEqual([]);
    expect(counts.same).toBeGreaterThan(500);
    expect(counts.refused).toBeGreaterThan(400);
    expect(counts.container).toBeGreaterThan(1000);
    expect(active).toBe(0);
  }
});

describe("which values are refused", () => {
  const refused: [string, unknown, typeof TypeError | typeof RangeError][] = [
    ["undefined", undefined, TypeError],
    ["a symbol", Symbol("s"), TypeError],
    ["a function", () => 1, TypeError],
    ["an object", {}, TypeError],
    ["an array", [1], TypeError],
    ["a Map", new Map(), TypeError],
    ["a SharedArrayBuffer", new SharedArrayBuffer(1), TypeError],
    ["a Proxy of bytes", new Proxy(new Uint8Array(1), {}), TypeError],
    ["NaN", Number.NaN, RangeError],
    ["an invalid Date", new Date(Number.NaN), RangeError],
    ["a bigint beyond 64 bits", 2n ** 63n, RangeError],
    ["NUL in text", "a\0", RangeError],
    ["a lone surrogate", "\ud800", RangeError],
  ];
  test.each(refused)("%s, by a message that names the parameter", async (_what, value, type) => {
    await using client = openTestClient(":memory:");
    const positional = await rejection(client.execute("SELECT ?, ?", [1, value as never]));
    expect(positional).toBeInstanceOf(type);
    expect(positional.message).toMatch(/parameter 2/);
    const named = await rejection(client.execute("SELECT :given", { given: value as never }));
    expect(named.message).toMatch(/parameter given/);
  });

  test("a count that does not fit, by a message that says so", async () => {
    await using client = openTestClient(":memory:");
    expect((await rejection(client.execute("SELECT ?, ?", [1]))).message).toBe(
      "Expected 2 arguments for the statement, got 1",
    );
    expect((await rejection(client.execute("SELECT ?", []))).message).toBe(
      "Expected 1 argument for the statement, got 0",
    );
    expect((await rejection(client.execute("SELECT ?3", [1, 2]))).message).toMatch(/Expected 3 arguments/);
    expect((await rejection(client.execute("SELECT :a, :b", { a: 1 }))).message).toMatch(/named `b`/);
    expect(await rejection(client.execute("SELECT ?1, :a", { a: 1 }))).toBeInstanceOf(TypeError);
    expect((await client.execute("SELECT 1", { surplus: 1 } as never)).rows).toHaveLength(1);
  });
});

test("a child that is killed says so, and one whose test is gone ends", async () => {
  await using db = await tempDatabase();
  const child = startChild("hold-lock", { url: db.url });
  await child.message<{ locked?: boolean }>(({ locked }) => locked === true);
  await child[Symbol.asyncDispose]();
  expect((await child.exited).signal).toBe("SIGKILL");
  const orphan = startChild("hold-lock", { url: db.url });
  await orphan.message<{ locked?: boolean }>(({ locked }) => locked === true);
  // As the end of this process would do.
  orphan.process.stdio[3]!.destroy();
  expect((await orphan.exited).signal).toBe("SIGKILL");
});
