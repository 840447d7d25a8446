import { describe, expect, test } from "vitest";
import { repeated, tempStorage } from "../../support/storage.js";

async function open() {
  const temp = await tempStorage();
  return { ...temp, conversations: temp.storage.conversations };
}

const turns = (...contents: string[]) =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? ("user" as const) : ("assistant" as const), content }));

describe("search", () => {
  test("finds what people type, and says how", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert();
    await db.conversations.append(
      id,
      turns("the kubernetes cluster", "see src/storage/db.ts", "数据库很快", "v1.2.3 doesn’t café"),
    );
    const find = async (text: string) =>
      (await db.conversations.search(text)).map(({ message, match }) => [message.seq, match]);
    expect(await find("clusters")).toEqual([[1, "keyword"]]);
    expect((await find("src/storage/db.ts"))[0]).toEqual([2, "keyword"]);
    expect(await find("数据")).toEqual([[3, "keyword"]]);
    expect(await find("cafe")).toEqual([[4, "keyword"]]);
    expect(await find("kube")).toEqual([[1, "prefix"]]);
    expect(await find("bernete")).toEqual([[1, "substring"]]);
    expect(await find("")).toEqual([
      [4, "recent"],
      [3, "recent"],
      [2, "recent"],
      [1, "recent"],
    ]);
    expect(await find("zzqqzz")).toEqual([]);
    for (const text of [
      '"',
      "(",
      "AND OR NOT",
      "NEAR(",
      "-foo",
      "***",
      "a:b",
      "\ud800",
      "{search_text} :",
      "x".repeat(100_000),
    ]) {
      await expect(db.conversations.search(text)).resolves.toBeInstanceOf(Array);
    }
  });

  test("finds an answer that lacks the words of the question by its neighboring turns", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert();
    await db.conversations.append(id, [
      ...turns("good morning", "hello"),
      ...turns("what is the deploy password of staging?", "hunter2"),
      ...turns(...Array.from({ length: 20 }, (_, i) => `small talk number ${i}`)),
    ]);
    const found = await db.conversations.search("deploy password staging", { context: 1 });
    const answer = found.find(({ message }) => message.content === "hunter2");
    expect(found[0]!.message.seq).toBe(3);
    expect(answer).toMatchObject({ match: "context" });
    expect(answer!.before!.map(({ seq }) => seq)).toEqual([3]);
    expect(answer!.after!.map(({ seq }) => seq)).toEqual([5]);
    expect(found.map(({ message }) => message.seq).every((seq) => seq <= 6)).toBe(true);
    // One word alone says nothing about its neighbors.
    expect((await db.conversations.search("password")).map(({ message }) => message.seq)).toEqual([3]);
    expect(found[0]).not.toHaveProperty("context");
    expect((await db.conversations.search("password"))[0]).not.toHaveProperty("before");
  });

  test("finds in a fork the answer to a question that it shares, and not the answer given elsewhere", async () => {
    await using db = await open();
    const { conversations } = db;
    const question = "Which region does the staging cluster run in?";
    await conversations.insert({ id: "t", messages: [{ role: "user", content: question }] });
    await conversations.append("t", { role: "assistant", content: "Ireland." });
    await conversations.fork("t", { id: "f", atSeq: 1 });
    await conversations.append("f", { role: "assistant", content: "Frankfurt." });
    await conversations.fork("f", { id: "g" });
    await conversations.append("g", { role: "user", content: "Thanks." });
    const found = async (conversationId: string) =>
      (await conversations.search(question, { conversationId })).map(({ message, match }) => [message.content, match]);
    expect(await found("t")).toEqual([
      [question, "keyword"],
      ["Ireland.", "context"],
    ]);
    expect(await found("f")).toEqual([
      [question, "keyword"],
      ["Frankfurt.", "context"],
    ]);
    expect(await found("g")).toEqual([
      [question, "keyword"],
      ["Frankfurt.", "context"],
      ["Thanks.", "context"],
    ]);
  });

  test("keeps to the conversation, roles, tags and times that it is given", async () => {
    await using db = await open();
    const one = await db.conversations.insert({ tags: ["release"] });
    const two = await db.conversations.insert();
    await db.conversations.append(one.id, [
      { id: "a", role: "user", content: "walrus", createdAt: new Date(10) },
      { id: "b", role: "assistant", content: "walrus", createdAt: new Date(20), tags: ["checked"] },
    ]);
    await db.conversations.append(two.id, {
      id: "c",
      role: "user",
      content: "walrus",
      createdAt: new Date(30),
      tags: ["release"],
    });
    const ids = async (options: object) =>
      (await db.conversations.search("walrus", options)).map(({ message }) => message.id).sort();
    expect(await ids({})).toEqual(["a", "b", "c"]);
    expect(await ids({ limit: 1 })).toEqual(["c"]);
    expect(await ids({ conversationId: one.id })).toEqual(["a", "b"]);
    expect(await ids({ conversationId: "none" })).toEqual([]);
    expect(await ids({ roles: ["assistant"] })).toEqual(["b"]);
    expect(await ids({ roles: [] })).toEqual([]);
    expect(await ids({ tags: ["release"] })).toEqual(["a", "b", "c"]);
    expect(await ids({ tags: ["release", "checked"] })).toEqual(["b"]);
    expect(await ids({ tags: ["release"], conversationId: one.id })).toEqual(["a", "b"]);
    expect(await ids({ tags: ["checked"], conversationId: one.id })).toEqual(["b"]);
    expect(await ids({ since: new Date(20), until: new Date(20) })).toEqual(["b"]);
    expect((await db.conversations.search("", { roles: ["user"] })).map(({ message }) => message.id)).toEqual([
      "c",
      "a",
    ]);
  });

  test("finds an answer by a question that the filter leaves out", async () => {
    await using db = await open();
    const { conversations } = db;
    const question = "Which region does the staging cluster run in?";
    const dialogue = (answer: string, start: number) => [
      { role: "user" as const, content: "hello", createdAt: new Date(start) },
      { role: "user" as const, content: question, createdAt: new Date(start + 1) },
      { role: "assistant" as const, content: answer, createdAt: new Date(start + 2), tags: ["checked"] },
    ];
    await conversations.insert({ id: "a", messages: dialogue("Ireland.", 10) });
    await conversations.insert({ id: "b", messages: dialogue("Ohio.", 20) });
    await conversations.fork("b", { id: "c" });
    await conversations.delete("a");
    // Many that have the words, pass the filter and answer nothing.
    const others = Array.from({ length: 300 }, (_, n) => ({
      messages: [
        { role: "assistant" as const, content: `The staging cluster ${n} was mentioned`, createdAt: new Date(1) },
      ],
    }));
    await conversations.insertMany(others);
    const found = async (options: object) =>
      (await conversations.search(question, { limit: 1000, ...options }))
        .filter(({ match }) => match === "context")
        .map(({ message }) => message.content);
    for (const options of [
      { roles: ["assistant"] },
      { tags: ["checked"] },
      { since: new Date(22), until: new Date(22) },
    ]) {
      expect(await found(options), JSON.stringify(options)).toEqual(["Ohio."]);
      expect(await found({ ...options, conversationId: "c" })).toEqual(["Ohio."]);
    }
    expect(await found({ roles: ["tool"] })).toEqual([]);
    expect((await conversations.search(question, { roles: ["user"] })).map(({ message }) => message.content)).toEqual([
      question,
      "hello",
    ]);
  });

  test("spends its limit on the project's own messages", async () => {
    await using temp = await tempStorage();
    const own = temp.storage.conversations;
    await own.append((await own.insert()).id, turns("the walrus of ours"));
    const theirs = temp.storage.project("other").conversations;
    await theirs.append((await theirs.insert()).id, turns(...Array.from({ length: 30 }, () => "a walrus of theirs")));
    for (const text of ["", "alrus", "walr", "walrus"]) {
      const found = await own.search(text, { limit: 1 });
      expect(
        found.map(({ message }) => message.content),
        text,
      ).toEqual(["the walrus of ours"]);
    }
  });

  test("follows messages that another program writes, changes or removes", async () => {
    await using temp = await tempStorage();
    const { conversations, client } = temp.storage;
    const { id } = await conversations.insert({ id: "c" });
    const [message] = await conversations.append(id, turns("about walruses", "and more"));
    await client.execute("UPDATE messages SET content = 'about pelicans' WHERE seq = 1");
    expect(await conversations.search("walrus")).toEqual([]);
    expect((await conversations.search("pelican"))[0]?.message.id).toBe(message!.id);
    await client.execute(
      "INSERT INTO messages (project, conversation_row_id, seq, id, role, metadata, tags, created_at, updated_at, checksum, content)" +
        " SELECT project, conversation_row_id, 3, 'by-hand', role, metadata, '[\"t\"]', created_at, updated_at, '', 'typed by hand' FROM messages WHERE seq = 2",
    );
    expect((await conversations.search("typing by hand"))[0]?.message.id).toBe("by-hand");
    expect(await conversations.tags()).toEqual([{ tag: "t", count: 1 }]);
    await client.execute("DELETE FROM messages WHERE id = 'by-hand'");
    expect((await conversations.search("typing by hand")).map(({ message: { id } }) => id)).not.toContain("by-hand");
    expect(await conversations.tags()).toEqual([]);
    await client.execute("INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)");
    // A handle that may only read finds what there is.
    await client.execute("UPDATE messages SET content = 'about ospreys' WHERE seq = 1");
    const read = (tx: { conversations: typeof conversations }) => tx.conversations.search("osprey");
    expect(await temp.storage.transaction(read, { mode: "read" })).toMatchObject([{ match: "keyword" }]);
    expect(await read(temp.storage)).toMatchObject([{ match: "keyword" }]);
  });

  test("answers without its index, and health says that it is gone", async () => {
    await using temp = await tempStorage();
    const { conversations, client } = temp.storage;
    const { id } = await conversations.insert();
    await conversations.append(id, turns("the kubernetes cluster", "other things"));
    await client.execute("DROP TABLE messages_fts");
    expect((await conversations.search("cluster"))[0]).toMatchObject({ match: "keyword" });
    expect((await conversations.search("cluster", { conversationId: id }))[0]).toMatchObject({ match: "keyword" });
    expect(await temp.storage.health()).toMatchObject({ ok: false, fts: false });
  });

  test("scans for substrings on another thread, and the event loop goes on", async () => {
    await using temp = await tempStorage({ durability: "relaxed" });
    const { conversations } = temp.storage;
    const { id } = await conversations.insert();
    const text = "a turn of some length that says nothing in particular ".repeat(20);
    await conversations.append(
      id,
      Array.from({ length: repeated(20_000) }, (_, i) => ({ role: "user" as const, content: `${text} ${i}` })),
    );
    let turnsOfTheLoop = 0;
    let isDone = false;
    const count = () => {
      turnsOfTheLoop++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const start = performance.now();
    expect(await conversations.search("zzqqzz")).toEqual([]);
    isDone = true;
    // The few messages of the other targets take some ms, which a busy machine may give to other processes.
    const least = repeated(20_000) === 20_000 ? 100 : 0;
    expect(turnsOfTheLoop, `in ${performance.now() - start} ms`).toBeGreaterThan(least);
    // Closing while a scan runs lets it end.
    const scan = conversations.search("xxqqxx").then(
      () => "answered",
      (error) => error.code,
    );
    await temp.storage.close();
    expect(["answered", "CLOSED"]).toContain(await scan);
  });
});
