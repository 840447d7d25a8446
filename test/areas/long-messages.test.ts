import { expect, test } from "vitest";
import { toSearchText, toSearchTextInSlices } from "../../src/search/terms.js";
import { rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

test("maxMessageChars bounds what append, insert and updateMessage take", async () => {
  await using temp = await tempStorage({ maxMessageChars: 10 });
  const { conversations } = temp.storage;
  const message = { role: "user", content: "0123456789" } as const;
  const long = { ...message, content: "0123456789a" };
  const { id } = await conversations.insert({ messages: [message] });
  const { id: messageId } = await conversations.append(id, message);
  for (const call of [
    () => conversations.append(id, long),
    () => conversations.insert({ messages: [long] }),
    () => conversations.updateMessage(messageId, { content: long.content }),
  ]) {
    expect(await rejection(call())).toBeInstanceOf(RangeError);
  }
});

test("the terms of a long text are the same in slices, and its tags leave them as they are", async () => {
  const text = Array.from({ length: 20_000 }, (_, i) => `word${i} don't naïve 数据库\n`).join(" ");
  expect(await toSearchTextInSlices(text, "abc")).toBe(toSearchText(text, "abc"));
  await using temp = await tempStorage();
  const { conversations } = temp.storage;
  const { id } = await conversations.insert({});
  const message = await conversations.append(id, { role: "user", content: text });
  await conversations.tag(message.id, "x");
  await conversations.updateMessage(message.id, { metadata: { a: 1 } });
  expect(await conversations.message(message.id)).toMatchObject({ content: text, tags: ["x"], metadata: { a: 1 } });
  expect(await conversations.search("word19999")).toHaveLength(1);
});
