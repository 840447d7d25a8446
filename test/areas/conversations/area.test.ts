import type { Storage } from "holdfast";
import { expect, test } from "vitest";
import { tempStorage } from "../../support/storage.js";

/** A source with a fork, a fork of a deleted one, and one of a purged one; refs, tags and a summary. */
async function fill(storage: Storage): Promise<void> {
  for (const project of ["default", "other"]) {
    const { conversations } = storage.project(project);
    const prefix = `${project}-`;
    for (const id of ["plain", "source", "deleted", "purged"]) {
      await conversations.insert({ id: prefix + id, title: `About ${id}`, tags: ["a", id], metadata: { id } });
      for (let i = 1; i <= 5; i++) {
        await conversations.append(prefix + id, {
          id: `${prefix}${id}-${i}`,
          role: i % 2 === 0 ? "assistant" : "user",
          content: `the walrus said ${i} things about ${id}, 数据库`,
          tags: i === 2 ? ["two"] : [],
          metadata: JSON.parse('{"__proto__":1,"b":[2]}'),
          clientId: i === 3 ? "c3" : null,
        });
      }
    }
    await conversations.linkRef(`${prefix}plain-2`, { kind: "file", target: "src/a.ts", score: 0.1 });
    await conversations.addSummary(`${prefix}plain`, { date: "2026-01-02", title: "Day", text: "said" });
    for (const id of ["source", "deleted", "purged"]) {
      await conversations.fork(prefix + id, { atSeq: 3, title: `Fork of ${id}` });
    }
    await conversations.delete(`${prefix}deleted`);
    await conversations.purge(`${prefix}purged`);
  }
}

async function textOf(lines: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const line of lines) text += line.endsWith("\n") ? line : `${line}\n`;
  return text;
}

const TABLES = {
  conversations: `select c.project, c.id, c.title, c.tags, c.metadata, p.id, c.prefix_seq, c.forked_from_id, c.forked_from_seq,
    c.visible_seq, c.created_at, c.updated_at, c.deleted_at, c.purged_at
    from conversations c left join conversations p on p.row_id = c.parent_row_id order by 1, 2`,
  messages: `select m.project, c.id, m.seq, m.id, m.role, m.metadata, m.tags, m.client_id, m.created_at, m.updated_at, m.checksum,
    m.content, m.search_text from messages m join conversations c on c.row_id = m.conversation_row_id order by 1, 2, 3`,
  refs: `select r.project, m.id, r.kind, r.target, r.score, r.created_at from message_refs r
    join messages m on m.row_id = r.message_row_id order by 1, 2, 3`,
  summaries: `select s.project, c.id, s.id, s.date, s.title, s.text, s.created_at from conversation_summaries s
    join conversations c on c.row_id = s.conversation_row_id order by 1, 2, 3`,
  tags: `select t.project, t.tag, c.id, m.id from conversation_tags t join conversations c on c.row_id = t.conversation_row_id
    left join messages m on m.row_id = t.message_row_id order by 1, 2, 3, 4`,
};

async function dump(storage: Storage): Promise<unknown> {
  const found: Record<string, unknown[]> = {};
  for (const [name, query] of Object.entries(TABLES)) {
    const { rows } = await storage.client.execute(query);
    found[name] = rows.map((row) => Array.from(row as ArrayLike<unknown>));
  }
  return found;
}

test("an export of conversations, imported elsewhere, gives the same threads, forks, shells and tags", async () => {
  await using source = await tempStorage();
  await fill(source.storage);
  await using target = await tempStorage();
  const result = await target.storage.import(source.storage.export());
  expect(result).toMatchObject({ inserted: 14, replaced: 0 });
  expect(await dump(target.storage)).toEqual(await dump(source.storage));
  expect(await target.storage.check({ deep: true })).toMatchObject({ ok: true });
  const found = (storage: Storage) => storage.project("other").conversations.search("walrus", { limit: 50 });
  expect(await found(target.storage)).toEqual(await found(source.storage));
  expect(await target.storage.import(source.storage.export(), { onConflict: "skip" })).toMatchObject({ skipped: 14 });
});

test("an import that replaces puts every thread back as it was, forks and shells included", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  await fill(storage);
  const before = await dump(storage);
  const lines = await textOf(storage.export());
  expect(await storage.import(lines, { onConflict: "replace" })).toMatchObject({ inserted: 0, replaced: 14 });
  expect(await dump(storage)).toEqual(before);
  for (const project of ["default", "other"]) {
    const { conversations } = storage.project(project);
    for (const { id } of (await conversations.list()).items) {
      const [first] = (await conversations.messages(id, { limit: 1 })).items;
      if (first !== undefined) await conversations.updateMessage(first.id, { content: "changed later" });
      await conversations.append(id, { role: "user", content: "said later" });
      await conversations.update(id, { title: "renamed later", tags: ["later"] });
    }
    const [newest] = (await conversations.list()).items;
    await conversations.delete(newest!.id);
  }
  expect(await dump(storage)).not.toEqual(before);
  expect(await storage.import(lines, { onConflict: "replace" })).toMatchObject({ inserted: 0, replaced: 14 });
  expect(await dump(storage)).toEqual(before);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test("an import cannot take from a fork what it shows, nor make a thread the fork of its own fork", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const { conversations } = storage;
  const turn = (id: string) => ({ id, role: "user" as const, content: id });
  await conversations.insert({ id: "a", messages: [turn("1")] });
  const early = await textOf(storage.export());
  await conversations.append("a", [turn("2"), turn("3")]);
  await conversations.fork("a", { id: "f", atSeq: 2 });
  const before = await dump(storage);
  const replace = { onConflict: "replace" } as const;
  await expect(storage.import(early, replace)).rejects.toMatchObject({ code: "CONFLICT", line: 2 });
  const [head, a, f] = (await textOf(storage.export())).trim().split("\n") as [string, string, string];
  const looped = a.replace('"parentId":null', '"parentId":"f"');
  expect(looped).not.toBe(a);
  await expect(storage.import([head, looped, f].join("\n"), replace)).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await dump(storage)).toEqual(before);
  await conversations.purge("f");
  expect(await storage.import(early, replace)).toMatchObject({ replaced: 1 });
  expect((await conversations.messages("a")).items.map(({ id }) => id)).toEqual(["1"]);
});

test("a check finds a message that was changed by hand, and an index that lacks one", async () => {
  await using temp = await tempStorage();
  await fill(temp.storage);
  await temp.storage.client.execute(
    "update messages set content = 'forged', search_text = search_text where id = 'default-plain-2'",
  );
  const { findings } = await temp.storage.check({ deep: true });
  expect(findings.map(({ code, message }) => `${code} ${message}`).join("\n")).toMatch(/CHECKSUM .*default-plain-2/);
  await temp.storage.client.execute(
    "delete from messages_fts where rowid = (select row_id from messages where id = 'default-plain-3')",
  );
  const again = await temp.storage.check();
  expect(again.findings.filter(({ severity }) => severity === "error")).toMatchObject([{ code: "INDEX_STALE" }]);
  await temp.storage.repair(again.findings);
  expect(await temp.storage.check()).toMatchObject({ ok: true });
});

test("prune takes whole conversations, and leaves what a fork shares", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const { conversations } = storage;
  await conversations.insert({ id: "old", createdAt: new Date(1000) });
  for (let i = 0; i < 4; i++) await conversations.append("old", { role: "user", content: "12345678" });
  const fork = await conversations.fork("old", { atSeq: 2 });
  await conversations.append(fork.id, { role: "user", content: "1234" });
  await storage.memories.insert({ content: "stays" });
  const policy = { maxRows: 1, area: "conversations" } as const;
  const dry = await storage.prune({ ...policy, dryRun: true });
  expect(dry).toMatchObject({ removed: [{ project: "default", area: "conversations", rows: 1 }], bytes: 16 });
  expect(await storage.prune(policy)).toEqual({ ...dry, dryRun: false });
  expect(await conversations.get("old")).toBeUndefined();
  const { items } = await conversations.messages(fork.id);
  expect(items.map(({ content }) => content)).toEqual(["12345678", "12345678", "1234"]);
  expect(await storage.prune({ maxRows: 0 })).toMatchObject({
    removed: expect.arrayContaining([{ project: "default", area: "conversations", rows: 1 }]),
  });
  expect((await storage.client.execute("select count(*) from messages")).rows[0]![0]).toBe(0);
  expect(await storage.memories.count()).toBe(0);
});
