import { StorageError } from "../../shared/errors.js";
import { expectation, expectFunction, expectInteger, expectOneOf } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { type Chain, readChain } from "./chain.js";
import type { Message } from "./record.js";

/** Limits of a window; all that are given hold at once. The leading system message counts. */
export interface WindowOptions {
  /** The most messages. @default Infinity */
  readonly lastMessages?: number | undefined;
  /** Characters of content (`string.length`). @default Infinity */
  readonly maxChars?: number | undefined;
  /** The most tokens, as `countTokens` counts them. @default Infinity */
  readonly maxTokens?: number | undefined;
  /** The tokens of a message. @default a quarter of its characters, rounded up, and four for what frames it */
  readonly countTokens?: ((message: Message) => number | Promise<number>) | undefined;
  /**
   * What to do when the newest message (or tool calls with their results) does not fit next to the system message:
   * reject with {@link WindowTooSmallError}, or answer the system message alone. @default "error"
   */
  readonly whenTooSmall?: "error" | "system" | undefined;
}

/** The limits of a window by their names. */
export type WindowLimit = "lastMessages" | "maxChars" | "maxTokens";

/** The newest message does not fit into a window; the code is `WINDOW_TOO_SMALL`. */
export class WindowTooSmallError extends StorageError {
  /** The limit that was exceeded; the first one if there are several. */
  readonly limit: WindowLimit;
  /** The smallest value of that limit that fits the message. */
  readonly needed: number;

  constructor(id: string, limit: WindowLimit, given: number, needed: number) {
    super(
      "WINDOW_TOO_SMALL",
      `The newest message of conversation ${JSON.stringify(id)} does not fit into the window: \`${limit}\` is ${given}, and ${needed} are needed, the system message included. Raise it, shorten the message, or pass \`whenTooSmall: "system"\` for the system message alone`,
    );
    this.limit = limit;
    this.needed = needed;
  }
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
  expectKeys("window", options, ["lastMessages", "maxChars", "maxTokens", "countTokens", "whenTooSmall"]);
  const {
    lastMessages = Number.POSITIVE_INFINITY,
    maxChars = Number.POSITIVE_INFINITY,
    maxTokens = Number.POSITIVE_INFINITY,
    countTokens = estimateTokens,
    whenTooSmall = "error",
  } = options;
  for (const [name, value] of Object.entries({ lastMessages, maxChars, maxTokens })) {
    if (value !== Number.POSITIVE_INFINITY) expectInteger(name, value, 0);
  }
  expectFunction("countTokens", countTokens);
  expectOneOf("whenTooSmall", whenTooSmall, ["error", "system"]);
  return { lastMessages, maxChars, maxTokens, countTokens, whenTooSmall };
}

/** About the number of tokens of English text. For exact numbers, pass `countTokens`. */
function estimateTokens({ content }: Message): number {
  return Math.ceil(content.length / 4) + 4;
}

/**
 * The longest unbroken run of newest messages that fits, in `seq` order, behind the leading system message.
 *
 * It grows from the newest end by groups, and stops at the first that does not fit. A group is a message with the `tool`
 * messages that directly follow it, since models refuse a result without its call. The role decides: every API has its
 * own key for the calls. `tool` messages at the beginning of a conversation have no call and are left out. Reads only as far back as the window reaches. Rejects with `WINDOW_TOO_SMALL` when not even the newest group fits.
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
    const exceeded = exceededLimit(used, limits);
    if (exceeded !== undefined) {
      if (kept.length > 0 || limits.whenTooSmall === "system") break;
      throw new WindowTooSmallError(chain.id, exceeded.limit, limits[exceeded.limit], exceeded.needed);
    }
    for (const message of group.toReversed()) kept.push(message);
  }
  if (system !== undefined) kept.push(system);
  return kept.reverse();
}

function exceededLimit(used: Size, limits: Limits): { limit: WindowLimit; needed: number } | undefined {
  if (used.messages > limits.lastMessages) return { limit: "lastMessages", needed: used.messages };
  if (used.chars > limits.maxChars) return { limit: "maxChars", needed: used.chars };
  if (used.tokens > limits.maxTokens) return { limit: "maxTokens", needed: used.tokens };
  return undefined;
}

/** Groups, the newest first; each is in `seq` order. */
async function* groupsFromNewest(
  context: RepositoryContext,
  executor: Executor,
  chain: Chain,
  after: number,
  { lastMessages }: Limits,
): AsyncGenerator<Message[]> {
  // `tool` messages, newest first, until the message is read that they follow.
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
      yield [message, ...results.reverse()];
      results = [];
    }
    if (page.length < limit) return;
    before = page.at(-1)!.seq;
  }
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
