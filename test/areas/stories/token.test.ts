import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openStories } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { SECRET, tempStories } from "../../support/stories.js";

const TOKEN = "ghp_ThisMustNotBeFoundAnywhere0123456789";
const KINDS = ["libsql", "filesystem"] as const;

function allBytes(dir: string): Buffer {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Buffer.concat(entries.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
}

describe.each(KINDS)("a token on %s", (kind) => {
  test("is not in the bytes of any file in any common encoding", async () => {
    await using temp = await tempStories(kind, { secret: SECRET });
    const { backend } = temp.service;
    await backend.saveGithubToken(TOKEN);
    await backend.saveGithubToken({ access_token: TOKEN, scopes: ["repo"] });
    await temp.service.saveStory("a", { title: "next to it" });
    const check = () => {
      const bytes = allBytes(temp.dir);
      expect(bytes.length).toBeGreaterThan(100);
      for (const encoding of ["utf8", "utf16le", "hex", "base64"] as const) {
        const needle =
          encoding === "utf8" || encoding === "utf16le"
            ? Buffer.from(TOKEN, encoding)
            : Buffer.from(TOKEN).toString(encoding).slice(2, -4);
        expect(bytes.includes(needle), encoding).toBe(false);
      }
    };
    check();
    expect(await backend.loadGithubToken()).toEqual({ access_token: TOKEN, scopes: ["repo"] });
    await backend.deleteGithubToken();
    check();
    await temp.service.close();
    check();
  });

  test("without a key is refused with the advice, and nothing is stored", async () => {
    await using temp = await tempStories(kind);
    const { backend } = temp.service;
    const error = await rejection(backend.saveGithubToken(TOKEN));
    expect(error).toMatchObject({ code: "NO_SECRET" });
    expect(error.message).toMatch(/HOLDFAST_SECRET/);
    expect(error.message).not.toContain(TOKEN);
    expect(await backend.loadGithubToken()).toBeUndefined();
  });

  test("can only be decrypted with its key and in its project", async () => {
    await using temp = await tempStories(kind, { secret: SECRET });
    await temp.service.backend.saveGithubToken(TOKEN);
    const other = await temp.openAnother({ secret: "6b".repeat(32) });
    const error = await rejection(other.backend.loadGithubToken());
    expect(error).toMatchObject({ code: "WRONG_SECRET" });
    expect(error.message).toMatch(/another `secret`/);
    const keyless = await temp.openAnother({ secret: undefined });
    expect(await rejection(keyless.backend.loadGithubToken())).toMatchObject({ code: "NO_SECRET" });
    const elsewhere = await temp.openAnother({ project: "other" });
    expect(await elsewhere.backend.loadGithubToken()).toBeUndefined();
    const bytes = new Uint8Array(32).fill(0x5a);
    expect(await (await temp.openAnother({ secret: bytes })).backend.loadGithubToken()).toBe(TOKEN);
  });
});

test("a token that is moved to another project cannot be decrypted", async () => {
  await using temp = await tempStories("filesystem", { secret: SECRET });
  const other = await temp.openAnother({ project: "other" });
  await temp.service.backend.saveGithubToken(TOKEN);
  await other.backend.saveGithubToken("another");
  copyFileSync(join(temp.path, "token.json"), join(temp.path, "projects/other/token.json"));
  expect(await rejection(other.backend.loadGithubToken())).toMatchObject({ code: "WRONG_SECRET" });
});

test("a token with a changed bit cannot be decrypted; two saves of one token differ", async () => {
  await using temp = await tempStories("filesystem", { secret: SECRET });
  const file = join(temp.path, "token.json");
  const { backend } = temp.service;
  await backend.saveGithubToken(TOKEN);
  const first = readFileSync(file, "utf8");
  await backend.saveGithubToken(TOKEN);
  expect(readFileSync(file, "utf8")).not.toBe(first);
  const sealed = Buffer.from(JSON.parse(first).sealed, "base64");
  for (const at of [0, 1, 13, sealed.length - 1]) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    writeFileSync(file, JSON.stringify({ sealed: changed.toString("base64") }));
    expect(await rejection(backend.loadGithubToken())).toMatchObject({ code: "WRONG_SECRET" });
  }
});

test("a secret of another shape is a TypeError that does not show it", async () => {
  for (const secret of ["hunter2", "zz".repeat(32), new Uint8Array(16), 5 as unknown as string]) {
    const error = await rejection(openStories({ path: ":memory:", secret }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).not.toContain("hunter2");
  }
});

test("HOLDFAST_SECRET replaces the option", async () => {
  process.env.HOLDFAST_SECRET = SECRET;
  try {
    for (const kind of KINDS) {
      await using temp = await tempStories(kind);
      await temp.service.backend.saveGithubToken(TOKEN);
      expect(await temp.service.backend.loadGithubToken()).toBe(TOKEN);
    }
  } finally {
    delete process.env.HOLDFAST_SECRET;
  }
});
