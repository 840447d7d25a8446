import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";

const byHand = "update memories set content = 'the giraffe of another program' where id = 'm'";

// The row was looked for by the hash of its new content, which it has not, again and again: the call never came back.
test.each(["by itself", "in a transaction"])(
  "restore of a memory whose content another program has changed brings it back as it is now, %s",
  async (how) => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.memories.insert({ id: "m", content: "a zebra" });
    await storage.memories.delete("m");
    await storage.client.execute(byHand);
    const isRestored =
      how === "by itself" ? storage.memories.restore("m") : storage.transaction((tx) => tx.memories.restore("m"));
    expect(await isRestored).toBe(true);
    expect(await storage.memories.require("m")).toMatchObject({
      content: "the giraffe of another program",
      deletedAt: null,
    });
    expect(await storage.memories.search("giraffe")).toMatchObject([{ memory: { id: "m" } }]);
    expect(await storage.memories.search("zebra")).toEqual([]);
    expect(await storage.memories.restore("m")).toBe(false);
  },
);

// Its vector was never stored, so it was embedded round after round.
test("reembed embeds a memory whose content another program has changed once", async () => {
  await using temp = await tempStorage();
  const { memories, client } = temp.storage;
  await memories.insertMany([{ id: "m", content: "a zebra" }, { content: "another" }]);
  await client.execute(byHand);
  const texts: string[] = [];
  const result = await memories.reembed(
    async (batch) => {
      texts.push(...batch);
      if (texts.length > 10) throw new Error("embedded again and again");
      return batch.map((text) => new Float32Array([text.length, 1]));
    },
    { model: "toy" },
  );
  expect(result).toEqual({ embedded: 2, remaining: 0 });
  expect(texts.sort()).toEqual(["another", "the giraffe of another program"]);
});

test("metadata or data that is not JSON any more is CORRUPT, and says how to find it", async () => {
  await using temp = await tempStorage();
  const { memories, conversations, graph, client } = temp.storage;
  await memories.insert({ id: "m", content: "a zebra" });
  await conversations.insert({ id: "c" });
  await graph.addNode({ id: "n", kind: "k", name: "n" });
  for (const column of ["memories set metadata", "conversations set metadata", "graph_nodes set data"]) {
    await client.execute(`update ${column} = 'not json'`);
  }
  for (const read of [() => memories.list(), () => conversations.list(), () => graph.findNodes()]) {
    const error = await rejection(read());
    expect(error).toMatchObject({ code: "CORRUPT" });
    expect(error.message).toMatch(
      /^The \w+ of "[mcn]" in \w+ is not JSON any more, .* correct it with SQL, or restore a backup$/,
    );
  }
  const metadata = { a: 1 };
  const filters = [
    () => memories.list({ metadata }),
    () => conversations.list({ metadata }),
    () => graph.findNodes({ where: metadata }),
  ];
  for (const filter of filters) {
    const error = await rejection(filter());
    expect(error).toMatchObject({ code: "CORRUPT" });
    expect(error.message).toMatch(/not JSON any more, .* the same call without the filter names the record$/);
  }
});
