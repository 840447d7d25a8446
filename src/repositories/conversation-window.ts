import { expectation, expectInteger } from "../options.js";
import { expectFunction, expectKeys } from "./arguments.js";
import { type Chain, readChain } from "./conversation-chain.js";
import type { Message } from "./conversation-record.js";
import type { Executor, RepositoryContext } from "./executor.js";

/** Limits of a window; all that are given hold at once. The leading system message counts. */
export interface WindowOptions {
  /** @default Infinity */
  readonly lastMessages?: number | undefined;
  /** Characters of content (`string.length`). @default Infinity */
  readonly maxChars?: number | undefined;
  /** @default Infinity */
  readonly maxTokens?: number | undefined;
  /** The tokens of a message. @default a quarter of its characters, rounded up, and four for what frames it */
  readonly countTokens?: ((message: Message) => number | Promise<number>) | undefined;
}

type Limits = Required<{ readonly [K in keyof WindowOptions]: NonNullable<WindowOptions[K]> }>;

interface Size {
  messages: number;
  chars: number;
  tokens: number;
}

const PAGE = 100;

/** Fills in the defaults; throws TypeError or RangeError. */
export function resolveWindowOptions(options: WindowOptions): Limits {
  expectKeys("window", options, ["lastMessages", "maxChars", "maxTokens", "countTokens"]);
  const {
    lastMessages = Number.POSITIVE_INFINITY,
    maxChars = Number.POSITIVE_INFINITY,
    maxTokens = Number.POSITIVE_INFINITY,
    countTokens = estimateTokens,
  } = options;
  for (const [name, value] of Object.entries({ lastMessages, maxChars, maxTokens })) {
    if (value !== Number.POSITIVE_INFINITY) expectInteger(name, value, 0);
  }
  expectFunction("countTokens", countTokens);
  return { lastMessages, maxChars, maxTokens, countTokens };
}

/** About what tokenizers make of English; a caller who needs it exact brings a count of their own. */
function estimateTokens({ content }: Message): number {
  return Math.ceil(content.length / 4) + 4;
}

/**
 * The longest unbroken run of newest messages that fits, in `seq` order, behind the leading system message.
 *
 * It grows from the newest end by groups, and stops at the first that does not fit. A group is a message, or an
 * assistant's tool calls with the `tool` messages that directly follow: half of such an exchange is refused by models.
 * Reads only as far back as the window reaches.
 */
export async function readWindow(
  context: RepositoryContext,
  executor: Executor,
  chain: Chain,
  limits: Limits,
): Promise<Message[]> {
  const [first] = await readChain(context, executor, chain, { before: 2, limit: 1 });
  const system = first?.role === "system" ? first : undefined;
  const used = system === undefined ? { messages: 0, chars: 0, tokens: 0 } : await sizeOf([system], limits);
  const kept: Message[] = [];
  for await (const group of groupsFromNewest(context, executor, chain, system === undefined ? 0 : 1, limits)) {
    const size = await sizeOf(group, limits);
    used.messages += size.messages;
    used.chars += size.chars;
    used.tokens += size.tokens;
    if (used.messages > limits.lastMessages || used.chars > limits.maxChars || used.tokens > limits.maxTokens) break;
    for (const message of group.toReversed()) kept.push(message);
  }
  if (system !== undefined) kept.push(system);
  return kept.reverse();
}

/** Groups in `seq` order within, the newest first. */
async function* groupsFromNewest(
  context: RepositoryContext,
  executor: Executor,
  chain: Chain,
  after: number,
  { lastMessages }: Limits,
): AsyncGenerator<Message[]> {
  // `tool` messages, newest first, until it is known whom they answer.
  let results: Message[] = [];
  let before = Number.POSITIVE_INFINITY;
  for (;;) {
    const limit = Math.min(PAGE, lastMessages + 1);
    const page = await readChain(context, executor, chain, { after, before, limit }, "last");
    for (const message of page) {
      if (message.role === "tool") {
        results.push(message);
        continue;
      }
      if (results.length > 0 && callsTools(message)) yield [message, ...results.toReversed()];
      else {
        for (const result of results) yield [result];
        yield [message];
      }
      results = [];
    }
    if (page.length < limit) break;
    before = page.at(-1)!.seq;
  }
  for (const result of results) yield [result];
}

function callsTools({ role, metadata }: Message): boolean {
  const { toolCalls } = metadata;
  return role === "assistant" && toolCalls !== undefined && toolCalls !== null && !isEmpty(toolCalls);
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

async function sizeOf(group: readonly Message[], { maxTokens, countTokens }: Limits): Promise<Size> {
  const size: Size = { messages: group.length, chars: 0, tokens: 0 };
  for (const message of group) {
    size.chars += message.content.length;
    if (maxTokens === Number.POSITIVE_INFINITY) continue;
    const tokens = await countTokens(message);
    if (typeof tokens !== "number" || !(tokens >= 0)) {
      throw new TypeError(expectation("countTokens", "a function that gives a number of at least 0", tokens));
    }
    size.tokens += tokens;
  }
  return size;
}
