import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";

const sent = {
  role: "user",
  content: "pay the invoice",
  metadata: { a: 1, b: { c: 2, d: 3 } },
  clientId: "k",
} as const;
/** What is not a repeat of it. */
const others = {
  content: { ...sent, content: "pay it twice" },
  role: { ...sent, role: "assistant" },
  metadata: { ...sent, metadata: { a: 2 } },
} as const;

async function open() {
  const temp = await tempStorage();
  const { conversations } = temp.storage;
  const { id } = await conversations.insert({});
  const contents = async (of = id) => (await conversations.messages(of)).items.map(({ content }) => content);
  return { ...temp, conversations, id, contents };
}

// The text of another message under the same client id was dropped silently.
test("a client id that comes again with other content, role or metadata is CONFLICT and stores nothing", async () => {
  await using db = await open();
  const first = await db.conversations.append(db.id, sent);
  expect(first).not.toHaveProperty("repeated");
  for (const other of Object.values(others)) {
    const alone = await rejection(db.conversations.append(db.id, other));
    expect(alone).toMatchObject({ code: "CONFLICT", message: expect.stringContaining('"k"') });
    const among = [{ role: "user", content: "new" }, other, { role: "user", content: "newer", clientId: "n" }] as const;
    expect(await rejection(db.conversations.append(db.id, among))).toMatchObject({ code: "CONFLICT", index: 1 });
    const twice = [
      { ...sent, clientId: "twice" },
      { ...other, clientId: "twice" },
    ];
    expect(await rejection(db.conversations.append(db.id, twice))).toMatchObject({ code: "CONFLICT", index: 1 });
    const inserted = await rejection(db.conversations.insertMany([{ messages: twice }]));
    expect(inserted).toMatchObject({ code: "CONFLICT", index: 0, messageIndex: 1 });
    const within = db.storage.transaction(async (tx) => {
      await tx.conversations.append(db.id, { role: "user", content: "before" });
      await tx.conversations.append(db.id, among);
    });
    expect(await rejection(within)).toMatchObject({ code: "CONFLICT" });
  }
  expect(await db.contents()).toEqual([sent.content]);
});

test("the same message again is the stored one with `repeated`, alone, in a batch, in a transaction and in a fork", async () => {
  await using db = await open();
  const first = await db.conversations.append(db.id, sent);
  const repeat = { ...first, repeated: true };
  const reordered = { ...sent, metadata: { b: { d: 3, c: 2 }, a: 1 }, tags: ["ignored"] };
  expect(await db.conversations.append(db.id, reordered)).toEqual(repeat);
  const [again, fresh] = await db.conversations.append(db.id, [sent, { role: "user", content: "new", clientId: "n" }]);
  expect(again).toEqual(repeat);
  expect(fresh).not.toHaveProperty("repeated");
  expect(await db.storage.transaction((tx) => tx.conversations.append(db.id, sent))).toEqual(repeat);
  const fork = await db.conversations.fork(db.id, { atSeq: 1 });
  expect(await db.conversations.append(fork.id, sent)).toEqual(repeat);
  expect(await rejection(db.conversations.append(fork.id, others.content))).toMatchObject({ code: "CONFLICT" });
  expect(await db.contents()).toEqual([sent.content, "new"]);
  expect(await db.contents(fork.id)).toEqual([sent.content]);
});

test("content that was changed since still counts as the content sent first", async () => {
  await using db = await open();
  const first = await db.conversations.append(db.id, sent);
  await db.conversations.updateMessage(first.id, { content: "redacted", metadata: {} });
  await db.conversations.tag(first.id, "secret");
  expect(await db.conversations.append(db.id, sent)).toMatchObject({
    id: first.id,
    content: "redacted",
    repeated: true,
  });
  const present = { ...sent, content: "redacted", metadata: {} };
  expect(await rejection(db.conversations.append(db.id, present))).toMatchObject({ code: "CONFLICT" });
});

test("a batch too large for one statement stores all of it or nothing", async () => {
  await using db = await open();
  await db.conversations.append(db.id, sent);
  const many = Array.from({ length: 1_200 }, (_, i) => ({
    role: "user" as const,
    content: `m${i}`,
    clientId: `c${i}`,
  }));
  expect(await rejection(db.conversations.append(db.id, [...many, others.content]))).toMatchObject({
    code: "CONFLICT",
  });
  expect(await db.contents()).toEqual([sent.content]);
  const stored = await db.conversations.append(db.id, [...many, sent]);
  expect(stored.filter(({ repeated }) => repeated)).toHaveLength(1);
  expect(stored.at(0)).toMatchObject({ seq: 2 });
  expect((await db.conversations.append(db.id, many)).every(({ repeated }) => repeated)).toBe(true);
});

test("an export keeps the content sent first; for a message of an earlier version, its present content counts", async () => {
  await using db = await open();
  const first = await db.conversations.append(db.id, sent);
  await db.conversations.updateMessage(first.id, { content: "redacted" });
  await using other = await tempStorage();
  await other.storage.import(db.storage.export());
  expect(await other.storage.conversations.append(db.id, sent)).toMatchObject({ content: "redacted", repeated: true });
  await db.storage.client.execute("update messages set sent_hash = null");
  expect(await rejection(db.conversations.append(db.id, sent))).toMatchObject({ code: "CONFLICT" });
  expect(await db.conversations.append(db.id, { ...sent, content: "redacted" })).toMatchObject({ repeated: true });
});
