import type { MessageInput } from "holdfast";
import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { seededRandom } from "../../support/random.js";
import { tempStorage, testTarget } from "../../support/storage.js";

async function conversationOf(messages: readonly MessageInput[]) {
  const temp = await tempStorage();
  const { storage } = temp;
  const { id } = await storage.conversations.insert();
  await storage.conversations.append(id, messages);
  const window = async (options: object) => (await storage.conversations.window(id, options)).map(({ seq }) => seq);
  return { ...temp, id, window };
}

const system = { whenTooSmall: "system" } as const;
const say = (role: MessageInput["role"], content: string, metadata = {}): MessageInput => ({ role, content, metadata });
const call = (content = "") => say("assistant", content, { toolCalls: [{ id: "x" }] });

test("is the newest run that fits every limit, in seq order", async () => {
  await using one = await conversationOf(["aaaa", "bbbb", "cccc", "dddd"].map((text) => say("user", text)));
  expect(await one.window({})).toEqual([1, 2, 3, 4]);
  expect(await one.window({ lastMessages: 2 })).toEqual([3, 4]);
  expect(await one.window({ maxChars: 11 })).toEqual([3, 4]);
  expect(await one.window({ maxChars: 12 })).toEqual([2, 3, 4]);
  expect(await one.window({ maxChars: 12, lastMessages: 1 })).toEqual([4]);
  expect(await one.window({ maxChars: 3, ...system })).toEqual([]);
  expect(await one.window({ lastMessages: 0, ...system })).toEqual([]);
  expect(await one.window({ maxTokens: 10, countTokens: () => 5 })).toEqual([3, 4]);
  expect(await one.window({ maxTokens: 10, countTokens: async () => 4 })).toEqual([3, 4]);
  expect(await one.window({ maxTokens: 15 })).toEqual([2, 3, 4]);
  await expect(one.window({ maxTokens: 1, countTokens: () => Number.NaN })).rejects.toThrow(TypeError);
});

test("stops at the first that does not fit, even if an older one would", async () => {
  await using one = await conversationOf([say("user", "a"), say("user", "much too long"), say("user", "b")]);
  expect(await one.window({ maxChars: 5 })).toEqual([3]);
});

test("keeps the leading system message, which counts", async () => {
  await using one = await conversationOf([say("system", "ssss"), ...["a", "b", "c"].map((text) => say("user", text))]);
  expect(await one.window({ lastMessages: 2 })).toEqual([1, 4]);
  expect(await one.window({ lastMessages: 1, ...system })).toEqual([1]);
  expect(await one.window({ maxChars: 6 })).toEqual([1, 3, 4]);
  expect(await one.window({ maxChars: 2, ...system })).toEqual([1]);
  expect(await one.window({})).toEqual([1, 2, 3, 4]);
});

test("takes a tool call with its results or not at all", async () => {
  const messages = [say("user", "q"), call(), say("tool", "r1"), say("tool", "r2"), say("assistant", "done")];
  await using one = await conversationOf(messages);
  expect(await one.window({ lastMessages: 3 })).toEqual([5]);
  expect(await one.window({ lastMessages: 4 })).toEqual([2, 3, 4, 5]);
  await using open = await conversationOf(messages.slice(0, 4));
  expect(await open.window({ lastMessages: 2, ...system })).toEqual([]);
  expect(await open.window({ lastMessages: 3 })).toEqual([2, 3, 4]);
});

// With the calls under OpenAI's own key, a window began with a result whose call was cut off.
test.each([
  ["OpenAI's key", { tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }] }],
  ["content parts", { content: [{ type: "tool-call", toolCallId: "1", toolName: "f", input: {} }] }],
  ["calls that were not stored", {}],
])("never begins with a tool message whose call is not in it: %s", async (_, metadata) => {
  const head = [say("system", "s"), say("user", "q")];
  const exchange = [say("assistant", "", metadata), say("tool", "r1"), say("tool", "r2"), say("assistant", "done")];
  await using one = await conversationOf([...head, ...exchange]);
  for (const lastMessages of [2, 3, 4]) expect(await one.window({ lastMessages })).toEqual([1, 6]);
  expect(await one.window({ lastMessages: 5 })).toEqual([1, 3, 4, 5, 6]);
  await using cut = await conversationOf([say("tool", "r1"), say("tool", "r2"), say("assistant", "done")]);
  expect(await cut.window({})).toEqual([3]);
  await using only = await conversationOf([say("system", "s"), say("tool", "r")]);
  expect(await only.window({})).toEqual([1]);
});

// The question of a user was dropped silently, and the prompt was a system message alone, or empty.
test("rejects with WINDOW_TOO_SMALL where the newest message does not fit, and says what is needed", async () => {
  await using one = await conversationOf([say("system", "ssss"), say("user", "a"), say("user", "too long")]);
  const tooSmall = async (options: object) => {
    const { code, limit, needed } = await rejection(one.window(options));
    return { code, limit, needed };
  };
  const code = "WINDOW_TOO_SMALL";
  expect(await tooSmall({ maxChars: 11 })).toEqual({ code, limit: "maxChars", needed: 12 });
  expect(await tooSmall({ maxTokens: 11, countTokens: () => 6 })).toEqual({ code, limit: "maxTokens", needed: 12 });
  expect(await tooSmall({ lastMessages: 1, maxChars: 1 })).toEqual({ code, limit: "lastMessages", needed: 2 });
  expect(await tooSmall({ lastMessages: 0 })).toEqual({ code, limit: "lastMessages", needed: 2 });
  expect(await one.window({ maxChars: 12 })).toEqual([1, 3]);
  expect(await one.window({ maxChars: 11, ...system })).toEqual([1]);
  expect(await rejection(one.window({ whenTooSmall: "empty" }))).toBeInstanceOf(TypeError);
  expect((await rejection(one.window({ maxChars: 1 }))).message).toMatch(/`maxChars` is 1, and 12 are needed/);
  await using empty = await conversationOf([]);
  expect(await empty.window({ maxChars: 0 })).toEqual([]);
  await using calls = await conversationOf([say("user", "q"), call(), say("tool", "r1"), say("tool", "r2")]);
  expect(await rejection(calls.window({ lastMessages: 2 }))).toMatchObject({ code, limit: "lastMessages", needed: 3 });
});

test("reads only as far back as it reaches", async () => {
  await using one = await conversationOf(Array.from({ length: 1_000 }, (_, i) => say("user", `turn ${i}`)));
  const seen: number[] = [];
  await one.storage.conversations.window(one.id, { maxTokens: 50, countTokens: ({ seq }) => seen.push(seq) && 10 });
  expect(seen).toEqual([1_000, 999, 998, 997, 996, 995]);
});

test("random conversations agree with a plain model", async () => {
  const random = seededRandom("windows");
  for (let round = 0; round < (testTarget === "file" ? 40 : 10); round++) {
    const messages = Array.from({ length: 1 + random.below(250) }, (_, i) => {
      const kind = random.below(8);
      const text = "x".repeat(random.below(20));
      if (i === 0 && kind < 4) return say("system", text);
      return kind < 2 ? call(text) : kind < 5 ? say("tool", text) : say(kind < 7 ? "user" : "assistant", text);
    });
    await using one = await conversationOf(messages);
    const limits = { lastMessages: 1 + random.below(260), maxChars: random.below(2_000), ...system };
    expect(await one.window(limits), `seed ${random.seed}, round ${round}`).toEqual(modelWindow(messages, limits));
  }
});

function modelWindow(
  messages: readonly MessageInput[],
  { lastMessages, maxChars }: { lastMessages: number; maxChars: number },
): number[] {
  const groups: number[][] = [];
  const hasSystem = messages[0]!.role === "system";
  for (const [i, { role }] of messages.entries()) {
    if (i === 0 && hasSystem) continue;
    if (role !== "tool") groups.push([i]);
    else groups.at(-1)?.push(i);
  }
  const kept: number[] = [];
  const fits = (all: number[]) =>
    all.length <= lastMessages && all.reduce((sum, i) => sum + messages[i]!.content.length, 0) <= maxChars;
  const head = hasSystem ? [0] : [];
  for (const group of groups.reverse()) {
    if (!fits([...head, ...group, ...kept])) break;
    kept.unshift(...group);
  }
  return [...head, ...kept].map((i) => i + 1);
}
