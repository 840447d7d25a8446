import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { repeated, tempStorage } from "../../support/storage.js";

// Such an update was taken for one by another program, which damaged a small index: the call rejected with CORRUPT.
test.each([
  ["a full stop", "The cluster runs in Ireland."],
  ["spaces at its end", "The cluster runs in Ireland  "],
  ["another case", "THE CLUSTER RUNS IN IRELAND"],
  ["the same text", "The cluster runs in Ireland"],
  ["other words", "Nobody knows"],
  ["nothing", ""],
])("a message takes new content with %s, alone and in a transaction", async (_what, content) => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const { id } = await storage.conversations.insert({});
  const first = await storage.conversations.append(id, { role: "assistant", content: "The cluster runs in Ireland" });
  expect(await storage.conversations.updateMessage(first.id, { content })).toMatchObject({ content });
  await storage.transaction(async (tx) => {
    await tx.conversations.updateMessage(first.id, { content: "The cluster runs in Ireland" });
    await tx.savepoint((savepoint) => savepoint.conversations.updateMessage(first.id, { content }));
  });
  expect(await storage.conversations.message(first.id)).toMatchObject({ content });
  const isFound = /cluster/i.test(content);
  expect(await storage.conversations.search("Ireland")).toHaveLength(isFound ? 1 : 0);
  const { rows } = await storage.client.execute("select count(*) from messages where search_text is null");
  expect(Number(rows[0]![0])).toBe(0);
});

const STEPS = repeated(200);

test(`a message that is streamed in ${STEPS} steps is found by its last words only`, async () => {
  await using temp = await tempStorage();
  const { conversations } = temp.storage;
  const { id } = await conversations.insert({});
  const { id: messageId } = await conversations.append(id, { role: "assistant", content: "" });
  let content = "";
  for (let i = 0; i < STEPS; i++) {
    content += i % 4 === 3 ? [".", " ", "\n"][i % 3] : ` word${i}`;
    await conversations.updateMessage(messageId, { content });
  }
  await conversations.updateMessage(messageId, { content: "done at last" });
  expect(await conversations.search(`word${STEPS - 2}`)).toEqual([]);
  expect(await conversations.search("last")).toMatchObject([{ message: { content: "done at last" } }]);
});

// Each reads the message and then writes all of its columns; the later one must not undo the earlier one.
test("updates of a message at the same time keep each other's fields", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const { conversations } = storage;
  const { id } = await conversations.insert({});
  for (let round = 0; round < 10; round++) {
    const message = await conversations.append(id, { role: "assistant", content: "", tags: ["kept"] });
    const changed = await Promise.all([
      conversations.updateMessage(message.id, { content: `said ${round}` }),
      conversations.updateMessage(message.id, { metadata: { round } }),
      conversations.tag(message.id, "added"),
    ]);
    expect(changed).not.toContain(undefined);
    const expected = { content: `said ${round}`, metadata: { round }, tags: ["kept", "added"] };
    expect(await conversations.message(message.id)).toMatchObject(expected);
  }
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test("an update of a message that is gone rejects with mustExist", async () => {
  await using temp = await tempStorage();
  const { conversations } = temp.storage;
  const { id } = await conversations.insert({});
  const message = await conversations.append(id, { role: "assistant", content: "" });
  const options = { mustExist: true } as const;
  expect(await conversations.updateMessage(message.id, { content: "a" }, options)).toMatchObject({ content: "a" });
  await conversations.purge(id);
  expect(await conversations.updateMessage(message.id, { content: "b" })).toBeUndefined();
  const gone = await rejection(conversations.updateMessage(message.id, { content: "b" }, options));
  expect(gone).toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining(message.id) });
  expect(await rejection(conversations.updateMessage(message.id, {}, { mustExist: 1 as never }))).toBeInstanceOf(
    TypeError,
  );
});
