import { join } from "node:path";
import type { MessageInput } from "../../src/areas/conversations/record.js";
import type { ConversationRepository } from "../../src/areas/conversations/repository.js";
import { openStorage, type Storage } from "../../src/storage/storage.js";
import { openFilled } from "../filled.js";
import { LOCOMO, readLocomo } from "../locomo.js";
import { textMaker, wordOf } from "../text.js";
import { meanMicros, millis, type Trial, type TrialContext } from "../trial.js";

const PER_CONVERSATION = 50;
const SMALL = 10_000;
const LARGE = 1_000_000;
const LOADED = 100_000;
/** Messages in one commit. A commit costs as much as a hundred messages, so larger batches would gain little. */
const BATCH = 2_500;
const ROLES = ["user", "assistant"] as const;

/** Each turn has a unique word, so that some words are rare. */
function turns(count: number, text: () => string, from: number): MessageInput[] {
  return Array.from({ length: count }, (_, i) => ({ role: ROLES[i % 2]!, content: `${text()} turn${from + i}` }));
}

/**
 * Fills a log of `messages` in conversations of 50. Each conversation gets two batches: first all get one half, then
 * all the other.
 */
async function fill(conversations: ConversationRepository, messages: number): Promise<void> {
  const text = textMaker(7);
  const count = messages / PER_CONVERSATION;
  const half = PER_CONVERSATION / 2;
  for (const start of [0, messages / 2]) {
    for (let number = 0; number < count; number++) {
      if (start === 0) await conversations.insert({ id: `conversation-${number}`, title: `about ${number}` });
      await conversations.append(`conversation-${number}`, turns(half, text, start + number * half));
    }
  }
}

/** Opens a storage with such a log. */
const openLog = (context: TrialContext, messages: number) =>
  openFilled(context, `log-${messages}`, ({ conversations }) => fill(conversations, messages));

/** Measures the same work on a small and a large log. The second figure must not be much larger than the first. */
function onBothSizes(
  work: (conversations: ConversationRepository, count: number) => Promise<number>,
): Pick<Trial, "contenders"> {
  const contender = (messages: number) => async (context: TrialContext) => {
    await using storage = await openLog(context, messages);
    return await work(storage.conversations, messages / PER_CONVERSATION);
  };
  return { contenders: { "10,000": contender(SMALL), "1,000,000": contender(LARGE) } };
}

const some = (index: number, count: number) => `conversation-${(index * 7919) % count}`;
/** The warm-up reads what is measured, so that neither size is measured from a cold file. */
const RUNS = { count: 400, warmup: 400 };

/**
 * Loads messages into 2,000 conversations of 50, or into one. The texts are created beforehand, so that only the
 * storing is measured.
 */
function loads(textOf: () => () => string): Trial["contenders"] {
  const load = async (
    { folder }: TrialContext,
    work: (storage: Storage, messages: MessageInput[]) => Promise<void>,
  ) => {
    await using storage = await openStorage(join(folder, "load.db"));
    const messages = turns(LOADED, textOf(), 0);
    return (LOADED / (await millis(() => work(storage, messages)))) * 1000;
  };
  return {
    "batches of 2,500": (context) =>
      load(context, async ({ conversations }, messages) => {
        for (let from = 0; from < LOADED; from += BATCH) {
          const starts = Array.from({ length: BATCH / PER_CONVERSATION }, (_, part) => from + part * PER_CONVERSATION);
          await conversations.insertMany(
            starts.map((start) => ({ messages: messages.slice(start, start + PER_CONVERSATION) })),
          );
        }
      }),
    "2,500 appended in a transaction": (context) =>
      load(context, async (storage, messages) => {
        for (let from = 0; from < LOADED; from += BATCH) {
          await storage.transaction(async ({ conversations }) => {
            const ids = Array.from({ length: BATCH / PER_CONVERSATION }, (_, part) => `c-${from}-${part}`);
            await conversations.insertMany(ids.map((id) => ({ id })));
            for (const [part, id] of ids.entries()) {
              const start = from + part * PER_CONVERSATION;
              await conversations.append(id, messages.slice(start, start + PER_CONVERSATION));
            }
          });
        }
      }),
    "a conversation at a time": (context) =>
      load(context, async ({ conversations }, messages) => {
        for (let from = 0; from < LOADED; from += PER_CONVERSATION) {
          const { id } = await conversations.insert();
          await conversations.append(id, messages.slice(from, from + PER_CONVERSATION));
        }
      }),
    "1,000 to one conversation": (context) =>
      load(context, async ({ conversations }, messages) => {
        const { id } = await conversations.insert();
        for (let from = 0; from < LOADED; from += 1000) {
          await conversations.append(id, messages.slice(from, from + 1000));
        }
      }),
  };
}

export const loadConversations: Trial = {
  title:
    "loading 100,000 messages of 23 words of a vocabulary of 30,000 in 2,000 conversations, full-text index included",
  unit: "messages/s",
  isMoreBetter: true,
  contenders: loads(() => textMaker(7)),
};

export const loadConversationsReal: Trial = {
  title: "the same with the messages of LoCoMo, repeated, each with a unique word",
  unit: "messages/s",
  isMoreBetter: true,
  data: LOCOMO,
  contenders: loads(() => {
    const turns = readLocomo(process.env.HOLDFAST_TEST_DATA!).flatMap(({ turns }) => turns);
    const texts = turns.map(({ speaker, text }) => `${speaker}: ${text}`);
    let next = 0;
    return () => texts[next++ % texts.length]!;
  }),
};

export const conversationAppend: Trial = {
  title: "append of one message to one of 200 conversations in a log of so many, relaxed durability",
  unit: "µs",
  ...onBothSizes((conversations, count) => {
    const text = textMaker(11);
    return meanMicros((i) => conversations.append(some(i % 200, count), { role: "user", content: text() }), RUNS);
  }),
};

export const conversationWindow: Trial = {
  title: "window of the last 20 messages",
  unit: "µs",
  ...onBothSizes((conversations, count) =>
    meanMicros((i) => conversations.window(some(i % 200, count), { lastMessages: 20 }), RUNS),
  ),
};

export const conversationPage: Trial = {
  title: "a page of 20 messages",
  unit: "µs",
  ...onBothSizes((conversations, count) =>
    meanMicros((i) => conversations.messages(some(i % 200, count), { after: 10, limit: 20 }), RUNS),
  ),
};

export const conversationList: Trial = {
  title: "the 20 conversations updated last",
  unit: "µs",
  ...onBothSizes((conversations) => meanMicros(() => conversations.list({ limit: 20 }), RUNS)),
};

async function medianMillis(work: (index: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 60; i++) {
    const time = await millis(() => work(i));
    if (i >= 10) times.push(time);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

export const conversationSearch: Trial = {
  title: "search over 1,000,000 messages, median",
  unit: "ms",
  contenders: Object.fromEntries(
    (
      [
        ["a rare word", (i: number) => `turn${i * 13_337}`, {}],
        ["selective words", (i: number) => `${wordOf(3000 + i * 37)} ${wordOf(5000 + i * 11)}`, {}],
        ["common words", (i: number) => `${wordOf(1 + (i % 3))} ${wordOf(4 + (i % 5))}`, {}],
        [
          "common, in one",
          (i: number) => `${wordOf(1 + (i % 3))} ${wordOf(4 + (i % 5))}`,
          { conversationId: "conversation-7" },
        ],
      ] as const
    ).map(([name, text, options]) => [
      name,
      async (context: TrialContext) => {
        await using storage = await openLog(context, LARGE);
        return await medianMillis((i) => storage.conversations.search(text(i), options));
      },
    ]),
  ),
};

export const conversationSubstring: Trial = {
  title: "substring fallback over 1,000,000 messages: its time, and the longest pause of the event loop",
  unit: "ms",
  contenders: {
    "finds nothing": async (context) => {
      await using storage = await openLog(context, LARGE);
      return await millis(() => storage.conversations.search("zzqqzz"));
    },
    "longest pause": async (context) => {
      await using storage = await openLog(context, LARGE);
      await storage.conversations.search("turn5");
      let longest = 0;
      let last = performance.now();
      const timer = setInterval(() => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }, 1);
      await storage.conversations.search("zzqqzz");
      clearInterval(timer);
      return Math.max(longest, performance.now() - last);
    },
  },
};

export const conversationFork: Trial = {
  title: "fork of a conversation of 100,000 messages",
  unit: "µs",
  contenders: {
    holdfast: async ({ folder }) => {
      await using storage = await openStorage(join(folder, "fork.db"));
      const { id } = await storage.conversations.insert();
      await storage.conversations.append(id, turns(100_000, textMaker(7), 0));
      return await meanMicros(() => storage.conversations.fork(id), { count: 20 });
    },
  },
};
