import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

// Each runs in a child process: a call that waits for the other end of a named pipe would stop this one.

type Failures = Record<string, { readonly code: string; readonly message: string }>;

describe.skipIf(process.platform === "win32")("a path of something that is not a file", () => {
  const kinds: Record<string, { at?: string; make?: (path: string) => Promise<() => unknown> }> = {
    "a named pipe": {
      make: async (path) => {
        execFileSync("mkfifo", [path]);
        return () => undefined;
      },
    },
    "a socket": {
      make: async (path) => {
        const server = createServer().listen(path);
        await once(server, "listening");
        return () => server.close();
      },
    },
    "a device": { at: "/dev/null" },
    "a folder": { at: "/dev" },
  };

  test.each(Object.entries(kinds))("is refused at once and says that it is %s", async (kind, { at, make }) => {
    await using db = await tempDatabase("place");
    const path = at ?? db.path;
    const remove = await make?.(path);
    const calls = ["open", "readOnly", "immutable", "replica", "stories", "check", "salvage", "restore"];
    const errors = await runChild<Failures>("odd-places", { path, out: join(db.dir, "out.db"), calls });
    expect(Object.keys(errors)).toEqual(calls);
    for (const [call, { code, message }] of Object.entries(errors)) {
      expect({ call, code }).toEqual({ call, code: "CANNOT_OPEN" });
      expect(message).toMatch(new RegExp(`${path}:? (?:it )?is ${kind}\\. Name a|the database file`));
    }
    const { client } = await runChild<Failures>("odd-places", { path, calls: ["client"] });
    expect(client).toMatchObject({ code: "SQLITE_CANTOPEN", message: expect.stringContaining(`it is ${kind}`) });
    remove?.();
  });
});

test("a relative path in a deleted working folder is CANNOT_OPEN and names the path; an absolute one works", async () => {
  await using db = await tempDatabase();
  const gone = join(db.dir, "gone");
  const calls = [
    "open",
    "url",
    "dataDir",
    "readOnly",
    "client",
    "stories",
    "folder",
    "check",
    "salvage",
    "restore",
    "lock",
  ];
  const errors = await runChild<Failures>("odd-places", { path: "x/app.db", out: "y.db", gone, calls });
  expect(Object.keys(errors)).toEqual(calls);
  for (const [call, { code, message }] of Object.entries(errors)) {
    expect({ call, code }).toEqual({ call, code: "CANNOT_OPEN" });
    expect(message, call).toMatch(/x\/app\.db.*: the working folder of this process has been deleted/);
  }
  const out = join(db.dir, "out.db");
  const absolute = await runChild("odd-places", { path: db.path, out, gone, calls: ["open", "salvage", "lock"] });
  expect(absolute).toEqual({ open: "no error", salvage: "no error", lock: "no error" });
});

const NOBODY = 65534;

describe.skipIf(process.getuid?.() !== 0)("as a user without permissions", () => {
  test("a file that this user may not read is CANNOT_OPEN, and says so", async () => {
    await using db = await tempDatabase();
    await runChild("odd-places", { path: db.path, calls: ["open"] });
    chmodSync(db.path, 0);
    chmodSync(db.dir, 0o777);
    const calls = ["open", "readOnly", "immutable", "check", "salvage", "restore"];
    const out = join(db.dir, "out.db");
    const errors = await runChild<Failures>("odd-places", { path: db.path, out, uid: NOBODY, calls });
    expect(Object.keys(errors)).toEqual(calls);
    for (const [call, { code, message }] of Object.entries(errors)) {
      expect({ call, code }).toEqual({ call, code: "CANNOT_OPEN" });
      expect(message).toContain(db.path);
      expect(message).toMatch(/this user may not.* Check its permissions/);
    }
  });

  test("a folder that this user may only read has the advice to open the file with readOnly", async () => {
    await using db = await tempDatabase();
    await runChild("odd-places", { path: db.path, calls: ["open"] });
    chmodSync(db.path, 0o644);
    chmodSync(db.dir, 0o555);
    const calls = ["open", "readOnly", "immutable"];
    const errors = await runChild<Failures>("odd-places", { path: db.path, uid: NOBODY, calls });
    expect(errors.open?.message).toContain('readOnly: "immutable"');
    expect(errors.readOnly?.message).toContain('readOnly: "immutable"');
    expect(errors.immutable).toBe("no error");
  });
});

// It has no blocks, and so none that are free: that was taken for a full disk.
test.skipIf(process.platform !== "linux")("a file system without a disk is CANNOT_OPEN, in one sentence", async () => {
  for (const call of [() => openStorage("/proc/x.db"), async () => createClient({ url: "file:/proc/x.db" })]) {
    const { code, message } = await rejection(call());
    expect(["CANNOT_OPEN", "SQLITE_CANTOPEN"]).toContain(code);
    expect(message.replace("SQLITE_CANTOPEN: ", "")).toBe(
      "Cannot open /proc/x.db: SQLite can neither open nor create it. Check that its folder exists and that this user may write to it",
    );
  }
});

test("a StorageError does not begin with the code of the client", async () => {
  await using db = await tempDatabase("place");
  const closed = await openStorage(":memory:");
  await closed.close();
  expect(await rejection(closed.memories.count())).toMatchObject({
    code: "CLOSED",
    message: "The client is closed. Open the storage again",
  });
  const missing = await rejection(openStorage({ url: db.path, readOnly: true }));
  expect(missing).toMatchObject({ code: "NOT_FOUND", message: expect.stringMatching(/^There is no database /) });
});

test("a parameter of a URL that is not supported is named, with the option in its place", async () => {
  const error = await rejection(openStorage("file:./q.db?mode=ro"));
  expect(error.message).toMatch(/parameter "mode"\. To read a file only, use the option `readOnly: true`$/);
  expect((await rejection(openStorage("file:./q.db?constructor=1"))).message).toMatch(/parameter "constructor"$/);
});
