import { sql } from "drizzle-orm";
import { DEFAULT_PROJECT } from "../../areas/arguments.js";
import type { Message } from "../../areas/conversations/record.js";
import { AREAS, areasIn } from "../../areas/registry.js";
import { toStatement } from "../../areas/statements.js";
import { StorageError } from "../../shared/errors.js";
import type { Project, Storage } from "../../storage/storage.js";
import type { CliCommand, CommandContext } from "../command.js";
import { listOtherProjects } from "../project-note.js";
import { withReadable } from "../target.js";
import { toLine, toLines, toMinute } from "../text.js";

/** The areas whose records have a text to show. */
const SHOWN: readonly string[] = ["memories", "sessions", "conversations"];
/** The most ids that an error lists. */
const MAX_LISTED = 5;
const PAGE_MESSAGES = 200;

interface Shown {
  readonly kind: "memory" | "session" | "conversation" | "message";
  readonly record: Readonly<Record<string, unknown>>;
  readonly content: string | undefined;
  readonly messages: readonly Message[];
}

export const showCommand: CliCommand = {
  usage: "show <id>",
  summary: "show a memory, session, conversation or message by its id, or by the end of its id",
  example: "show b6e3f0a2 --url ./data/app.db",
  run(context, { args }) {
    const [wanted] = args as [string];
    const { project: name = DEFAULT_PROJECT, output } = context;
    return withReadable(context, async (storage) => {
      const { area, id } = await find(storage, name, wanted);
      const shown = await read(storage.project(name), area, id);
      if (shown === undefined) {
        throw new StorageError("NOT_FOUND", `The record ${id} of project ${JSON.stringify(name)} is deleted`);
      }
      const { kind, record, messages } = shown;
      const document = kind === "conversation" ? { kind, record, messages } : { kind, record };
      return () => output.result(document, () => write(output, shown));
    });
  },
};

/** The record with this id, or the only one whose id ends so. */
async function find(storage: Storage, project: string, wanted: string): Promise<{ area: string; id: string }> {
  const candidates: { area: string; id: string }[] = [];
  const reader = { execute: storage.client.execute.bind(storage.client) };
  for (const area of await areasIn(reader, AREAS)) {
    if (!SHOWN.includes(area.name)) continue;
    const query = sql`with ids (id) as (${area.ids(project)})
      select id from ids where substr(id, -length(${wanted})) = ${wanted} order by length(id), id limit ${MAX_LISTED + 1}`;
    const { rows } = await storage.client.execute(toStatement(query));
    candidates.push(...rows.map((row) => ({ area: area.name, id: row.id as string })));
  }
  const exact = candidates.filter(({ id }) => id === wanted);
  const [found, ...others] = exact.length > 0 ? exact : candidates;
  const place = `project ${JSON.stringify(project)}`;
  if (found === undefined) {
    const advice = await listOtherProjects(storage, project);
    throw new StorageError(
      "NOT_FOUND",
      `No memory, session, conversation or message of ${place} has an id that ends in ${wanted}.${advice}`,
    );
  }
  if (others.length > 0 && exact.length === 0) {
    const ids = candidates.slice(0, MAX_LISTED).map(({ id }) => id);
    const more = candidates.length > MAX_LISTED ? " and others" : "";
    throw new StorageError(
      "CONFLICT",
      `Several ids of ${place} end in ${wanted}: ${ids.join(", ")}${more}. Give more characters`,
    );
  }
  return found;
}

async function read(project: Project, area: string, id: string): Promise<Shown | undefined> {
  if (area === "memories") {
    const found = await project.memories.get(id, { includeDeleted: true });
    if (found === undefined) return undefined;
    const { content, embedding: _, ...rest } = found;
    return { kind: "memory", record: { ...rest, content }, content, messages: [] };
  }
  if (area === "sessions") {
    const found = await project.sessions.get(id);
    return found && { kind: "session", record: { ...found }, content: found.summary ?? undefined, messages: [] };
  }
  const conversation = await project.conversations.get(id);
  if (conversation !== undefined) {
    const messages = await readMessages(project, id);
    return { kind: "conversation", record: { ...conversation }, content: undefined, messages };
  }
  const message = await project.conversations.message(id);
  return message && { kind: "message", record: { ...message }, content: message.content, messages: [] };
}

async function readMessages({ conversations }: Project, id: string): Promise<Message[]> {
  const messages: Message[] = [];
  let cursor: string | undefined;
  do {
    const page = await conversations.messages(id, { limit: PAGE_MESSAGES, cursor });
    messages.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return messages;
}

/** Fields with a value on one line each, then the text with its own lines. */
function write(output: CommandContext["output"], { kind, record, content, messages }: Shown): void {
  output.line(kind, "bold");
  for (const [name, value] of Object.entries(record)) {
    const text = name === "content" || name === "summary" ? "" : fieldText(value);
    if (text !== "") output.line([{ text: `${name}  `, style: "dim" }, { text }]);
  }
  const writeText = (text: string) => {
    output.line("");
    for (const line of toLines(text)) output.line(line);
  };
  if (content !== undefined) writeText(content);
  for (const { seq, role, createdAt, content: text } of messages) {
    output.line("");
    output.line([{ text: `${seq} ${role}`, style: "bold" }, { text: `  ${toMinute(createdAt)}` }]);
    for (const line of toLines(text)) output.line(line);
  }
}

function fieldText(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object" || value === null) return value === null ? "" : toLine(String(value));
  const text = JSON.stringify(value);
  return text === "{}" || text === "[]" ? "" : text;
}
