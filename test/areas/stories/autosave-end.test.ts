import { expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { tempStories } from "../../support/stories.js";

// Edits were lost without a word where a script ended before the autosave was due.

test.each([
  ["before the debounce is over", "runs"],
  ["with timers that are numbers", "numbers"],
  ["with an infinite debounce", "infinite"],
  ["with a clock that keeps no process alive", "clock"],
  ["while the autosave is paused", "paused"],
])("a process that comes to its natural end %s has saved what was dirty", async (_, end) => {
  for (const backend of ["filesystem", "libsql"] as const) {
    await using temp = await tempStories(backend);
    await using child = startChild("autosave-end", { backend, path: temp.path, end });
    expect(await child.exited).toMatchObject({ code: 0, signal: null, stderr: "" });
    expect(child.messages).toEqual([{ code: 0, dirty: [] }]);
    expect(await temp.service.loadStory("a")).toEqual({ end });
  }
});

test("a started autosave without unsaved edits does not keep the process alive", async () => {
  await using temp = await tempStories("filesystem");
  await using child = startChild("autosave-end", { backend: "filesystem", path: temp.path, end: "started" });
  expect(await child.exited).toMatchObject({ code: 0, stderr: "" });
});

test("a failed save at the end emits a warning and does not keep the process alive", async () => {
  await using temp = await tempStories("filesystem");
  await temp.service.saveStory("a", { stored: true });
  await using child = startChild("autosave-end", { backend: "filesystem", path: temp.path, end: "conflict" });
  const { code, stderr } = await child.exited;
  expect(code).toBe(0);
  expect(stderr).toMatch(/Not saved at the end of the process: a/);
  expect(child.messages).toEqual([{ code: 0, dirty: ["a"] }]);
  expect(await temp.service.loadStory("a")).toEqual({ stored: true });
});

test("a signal is the program's own: the handler of the documentation saves, and the process ends by the signal", async () => {
  for (const backend of ["filesystem", "libsql"] as const) {
    await using temp = await tempStories(backend);
    await using child = startChild("autosave-end", { backend, path: temp.path, end: "SIGTERM" });
    expect(await child.exited).toMatchObject({ code: null, signal: "SIGTERM" });
    expect(await temp.service.loadStory("a")).toEqual({ end: "SIGTERM" });
  }
  await using temp = await tempStories("filesystem");
  await using child = startChild("autosave-end", { backend: "filesystem", path: temp.path, end: "unhandled" });
  expect(await child.exited).toMatchObject({ signal: "SIGTERM" });
  expect(await temp.service.hasStory("a")).toBe(false);
});
