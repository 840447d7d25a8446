import { join } from "node:path";
import { openStorage, type Storage } from "../../src/storage/storage.js";
import { longestPiece } from "../longest-piece.js";
import type { Trial, TrialContext } from "../trial.js";

const CHARS = 1_000_000;
const LONG_CHARS = 10 * CHARS;

/** A text of 5,000 different words. */
function textOf(chars: number): string {
  let text = "";
  for (let n = 0; text.length < chars; n++) text += `word${n % 5000} and some other text `;
  return text.slice(0, chars);
}

/**
 * The longest time in ms that the main thread works between two turns of its event loop, during the second run of
 * `work`.
 */
async function longestGap(
  { folder }: TrialContext,
  prepare: (storage: Storage) => Promise<(round: number) => Promise<unknown>>,
): Promise<number> {
  const storage = await openStorage({
    url: join(folder, "long.db"),
    maxContentChars: LONG_CHARS,
    maxMessageChars: LONG_CHARS,
  });
  const work = await prepare(storage);
  await work(0);
  const longest = await longestPiece(() => work(1));
  await storage.close();
  return longest;
}

const appending = (chars: number) => (context: TrialContext) =>
  longestGap(context, async ({ conversations }) => {
    const text = textOf(chars);
    const { id } = await conversations.insert();
    return (round) => conversations.append(id, { role: "user", content: `${round} ${text}`.slice(0, chars) });
  });

export const longText: Trial = {
  title: `longest event-loop gap, as CPU time, while a text of ${CHARS / 1e6} MB, or ${LONG_CHARS / 1e6} MB, is stored or removed`,
  unit: "ms",
  isCases: true,
  contenders: {
    append: appending(CHARS),
    updateMessage: (context) =>
      longestGap(context, async ({ conversations }) => {
        const text = textOf(CHARS - 10);
        const { id } = await conversations.insert();
        const message = await conversations.append(id, { role: "user", content: "" });
        return (round) => conversations.updateMessage(message.id, { content: `${round} ${text}` });
      }),
    "memories.insert": (context) =>
      longestGap(context, async ({ memories }) => {
        const text = textOf(CHARS - 10);
        return (round) => memories.insert({ content: `${round} ${text}` });
      }),
    "memories.purge": (context) =>
      longestGap(context, async ({ memories }) => {
        const text = textOf(CHARS - 10);
        for (const round of [0, 1]) await memories.insert({ id: `${round}`, content: `${round} ${text}` });
        return (round) => memories.purge(`${round}`);
      }),
    "append of 10 MB": appending(LONG_CHARS),
  },
};
