import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

// `setTimeout(…).unref()` ended the process after a commit in an Electron renderer: timers are numbers there.
test("the main calls work where timers are numbers and setImmediate is missing, and leave no timer behind", async () => {
  await using server = await startServer();
  await using db = await tempDatabase();
  await using child = startChild("number-timers", { dir: db.dir, serverUrl: server.url });
  // Ends by itself: a timer that is still set would keep it.
  const { code, signal, stderr } = await child.exited;
  expect({ code, signal, last: child.messages.at(-1), stderr }).toEqual({
    code: 0,
    signal: null,
    last: { event: "done" },
    stderr: "",
  });
});
