import { DEFAULT_PROJECT } from "../../areas/arguments.js";
import type { SearchResult } from "../../areas/memories/search.js";
import { planQuery } from "../../search/query.js";
import { snippet } from "../../search/snippet.js";
import { parsePositive } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { noteNothingFound } from "../project-note.js";
import { shortId } from "../short-id.js";
import type { Part } from "../style.js";
import { withReadable } from "../target.js";
import { toLine, toMinute } from "../text.js";

/** Put around matches. Contents rarely have them, and if they do, only the wrong words are bold. */
const [OPEN, CLOSE] = ["\u0002", "\u0003"];
const MARKED = new RegExp(`${OPEN}([^${OPEN}${CLOSE}]*)${CLOSE}`);
/** The longest snippet where there is no terminal to fill. */
const DEFAULT_CHARS = 300;
const LEAST_CHARS = 20;
/** Fewer columns show no time, and still fewer only the ids and the text. */
const FULL_COLUMNS = 100;
const NARROW_COLUMNS = 60;

export const searchCommand: CliCommand = {
  usage: "search <text>",
  summary: "search the memories of a project",
  example: 'search "how do migrations lock?" --project my-agent --url ./data/app.db',
  options(command) {
    command.option("--limit <n>", "most results", parsePositive, 10);
    command.option("--type <type>", "only memories of this type");
  },
  run(context, { args, options }) {
    const [text] = args as [string];
    const { limit, type } = options as { limit: number; type?: string };
    return withReadable(context, async (storage) => {
      const { project = DEFAULT_PROJECT } = context;
      const found = await storage.project(project).memories.search(text, { limit, type });
      const note = found.length > 0 ? undefined : await noteNothingFound(storage, project);
      const results = found.map(({ memory: { embedding: _, ...memory }, ...rest }) => ({ ...rest, memory }));
      return () => {
        note?.(context.output);
        context.output.result({ query: text, results }, () => {
          if (found.length === 0) return;
          const { columns } = context.output;
          const { head, rows, room } = columns === undefined ? everything(found) : fitting(found, columns);
          const contents = found.map(({ memory }) => matchesOf(memory.content, text, room));
          context.output.table(
            [...head, "text"],
            rows.map((row, index) => [...row, contents[index]!]),
          );
        });
      };
    });
  },
};

interface Shape {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Characters for the text. */
  readonly room: number;
}

/** For other programs. */
function everything(found: readonly SearchResult[]): Shape {
  const rows = found.map(({ match, memory }) => [match, memory.type, toMinute(memory.createdAt), memory.id]);
  return { head: ["match", "type", "created", "id"], rows, room: DEFAULT_CHARS };
}

/** For a terminal: the narrower it is, the less stands before the text. */
function fitting(found: readonly SearchResult[], columns: number): Shape {
  const shown = [
    { name: "match", least: FULL_COLUMNS, value: ({ match }: SearchResult) => match },
    { name: "type", least: NARROW_COLUMNS, value: ({ memory }: SearchResult) => memory.type },
    { name: "created", least: FULL_COLUMNS, value: ({ memory }: SearchResult) => toMinute(memory.createdAt) },
    { name: "id", least: 0, value: ({ memory }: SearchResult) => shortId(memory.id) },
  ].filter(({ least }) => columns >= least);
  const rows = found.map((one) => shown.map(({ value }) => value(one)));
  const widths = shown.map(({ name }, at) => Math.max(name.length, ...rows.map((row) => toLine(row[at]!).length)));
  const used = widths.reduce((sum, width) => sum + width + 2, 0);
  return { head: shown.map(({ name }) => name), rows, room: Math.max(LEAST_CHARS, columns - used) };
}

/** The part of a content that matches, with the matches in bold. */
function matchesOf(content: string, query: string, room: number): Part[] {
  const text = snippet(content, planQuery(query), { maxChars: room, open: OPEN, close: CLOSE });
  // A split by a group has the groups at the odd places.
  return text.split(MARKED).map((part, at) => ({ text: part, style: at % 2 === 1 ? "bold" : undefined }));
}
