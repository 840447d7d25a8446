import { join } from "node:path";
import { openStorage } from "holdfast";
import { expect, test } from "vitest";
import { describePlace, nameOfFileSystem } from "../../src/files/file-place.js";
import { tempDatabase } from "../support/temp.js";

test.each(["Dropbox", "OneDrive - Example Ltd", "Mobile Documents", "Nextcloud"])(
  "a database in the folder %s is reported once when it is opened, and by health()",
  async (folder) => {
    await using db = await tempDatabase();
    const path = join(db.dir, folder, "notes", "app.db");
    const warnings: string[] = [];
    const logger = {
      info: () => undefined,
      warn: (message: string) => void warnings.push(message),
      error: () => undefined,
    };
    await using storage = await openStorage({ url: path, logger });
    const { ok, place } = await storage.health();
    expect(place).toContain(`is in a folder that is synchronized (${folder})`);
    expect(ok).toBe(true);
    expect(warnings).toEqual([place]);
  },
);

test("a local folder, a file named like a service, and a database in memory are not reported", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(join(db.dir, "Dropbox.db"));
  expect((await storage.health()).place).toBeUndefined();
  await using memory = await openStorage(":memory:");
  expect((await memory.health()).place).toBeUndefined();
  expect(describePlace(join(db.dir, "no", "such", "folder", "app.db"))).toBeUndefined();
});

test("network file systems are known by the type of statfs, also as a signed number", () => {
  expect(nameOfFileSystem(0x6969)).toBe("NFS");
  expect(nameOfFileSystem(0xff534d42)).toBe("CIFS");
  expect(nameOfFileSystem(0xff534d42 | 0)).toBe("CIFS");
  // ext4, xfs, btrfs, tmpfs and overlayfs are local.
  expect([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630].map(nameOfFileSystem)).toEqual(
    Array(5).fill(undefined),
  );
});
