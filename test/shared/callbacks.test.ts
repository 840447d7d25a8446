import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { tempDatabase } from "../support/temp.js";

// A listener's rejected promise, or a logger's, ended the process.
test("callbacks that throw, reject or answer nonsense fail their own call at most, and never the process", async () => {
  await using db = await tempDatabase();
  await using child = startChild("misbehaving-callbacks", { dir: db.dir });
  const { code, stderr } = await child.exited;
  expect(child.messages.filter((message) => (message as { event: string }).event === "escaped")).toEqual([]);
  expect({ code, last: child.messages.at(-1), stderr }).toEqual({ code: 0, last: { event: "done" }, stderr: "" });
});
