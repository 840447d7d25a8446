/**
 * A conversation with a tool call: build a window for a model, fork the conversation, and search it.
 *
 *     npx tsx examples/conversations.ts
 */
import { openStorage } from "holdfast";

await using storage = await openStorage(":memory:");
const { conversations } = storage.project("support");

const talk = await conversations.insert({ title: "The cluster", tags: ["ops"] });
await conversations.append(talk.id, [
  { role: "system", content: "You answer in one sentence." },
  { role: "user", content: "Which region does the staging cluster run in?" },
  { role: "assistant", content: "", metadata: { toolCalls: [{ id: "call-1", name: "lookup" }] } },
  { role: "tool", content: '{"region":"eu-west-1"}', metadata: { toolCallId: "call-1" } },
  { role: "assistant", content: "Ireland." },
]);

// If you send a message with a clientId again after a crash or a lost connection, it is stored once.
const question = { role: "user", content: "And production?", clientId: "tab-7/42" } as const;
const first = await conversations.append(talk.id, question);
const again = await conversations.append(talk.id, question);
console.log(`stored as ${first.seq}, and again as ${again.seq}`);

// The system message and the newest messages that fit. A tool call keeps its results.
const prompt = await conversations.window(talk.id, { maxTokens: 45 });
console.log("to the model:", prompt.map(({ seq, role }) => `${seq} ${role}`).join(", "));

// A fork continues differently, and shares the first five messages instead of copying them.
const other = await conversations.fork(talk.id, { atSeq: 5, title: "The cluster, in short" });
await conversations.append(other.id, { role: "user", content: "What does it cost a month?" });
console.log(`${other.title}: ${(await conversations.messages(other.id)).items.length} messages`);

// The answer has none of the words, but the question before it does.
for (const { message, match, before } of await conversations.search("which region is staging in", {
  context: 1,
  limit: 5,
})) {
  console.log(
    `${match.padEnd(8)} ${message.seq} ${message.content || "(a tool call)"}  [after ${before?.at(-1)?.seq ?? "nothing"}]`,
  );
}

await conversations.linkRef(first.id, { kind: "commit", target: "3b4b6a4", score: 0.8 });
console.log("linked:", (await conversations.byRef("commit", "3b4b6a4")).map(({ content }) => content).join());
