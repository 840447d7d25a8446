// Random changes to every area of a storage and to stories in files, each with the values that it stores. Programs that
// are killed, meet faults or lose power all use this list, and `readEverything` checks all of them.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { openStories } from "holdfast/stories";

/** The files of one run, all in `dir`. */
export const placesIn = (dir) => ({
  dir,
  database: join(dir, "work.db"),
  stories: join(dir, "stories"),
  backups: join(dir, "copies"),
});

/** One `batch` of the bare client stores two of its rows. */
export const OWN_TABLE =
  "CREATE TABLE IF NOT EXISTS pairs (id TEXT PRIMARY KEY, half INTEGER NOT NULL, text TEXT NOT NULL)";
const SHARED_CONVERSATION = "shared";
const PROJECTS = ["one", "two"];

/**
 * Opens the storages that `readEverything` and the changes need. `withStories: false` does not open the folder of
 * stories.
 */
export async function openEverything(dir, { withStories = true, ...options } = {}) {
  const places = placesIn(dir);
  // The process that holds the lock may not run for seconds.
  const storage = await openStorage({ url: places.database, busyTimeoutMs: 60_000, ...options });
  const folder = { backend: "filesystem", path: places.stories, historyLimit: 3 };
  const stories = withStories ? await openStories(folder) : undefined;
  return {
    places,
    storage,
    stories,
    async close() {
      await stories?.close();
      await storage.close();
    },
  };
}

/** Creates the table and the conversation that all writers share. Call it once, before they start. */
export async function prepare({ storage, places }) {
  mkdirSync(places.backups, { recursive: true });
  await storage.client.execute(OWN_TABLE);
  await storage.project("one").conversations.insert({ id: SHARED_CONVERSATION, title: SHARED_CONVERSATION });
}

/** A source of randomness that a seed repeats. */
export function seeded(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit) => Math.floor(next() * limit);
  return { next, below, pick: (items) => items[below(items.length)] };
}

/** A digest of a value, so that the ledger of a long run stays small. */
export const digest = (value) =>
  value === null ? null : createHash("sha1").update(value).digest("base64url").slice(0, 12);

const memoryValue = (text, deleted = false) => `${text}${deleted ? " deleted" : ""}`;
const conversationValue = (title, forkedFrom, deleted = false) =>
  `${title}${forkedFrom ? ` of ${forkedFrom.id}@${forkedFrom.seq}` : ""}${deleted ? " deleted" : ""}`;
const nodeValue = (n, labels) => `${n} ${[...labels].sort().join(",")}`;
const storyValue = (text, tags, revision) => `${text} ${[...tags].sort().join(",")} r${revision}`;

const marks = process.env.HOLDFAST_MARKS === undefined ? undefined : openSync(process.env.HOLDFAST_MARKS, "a");
let attempts = 0;

/** Writes one line for the parent process, and one in the trace if there is one, at its place among the calls. */
export function say(message) {
  const line = `${JSON.stringify(message)}\n`;
  if (marks !== undefined) writeSync(marks, line);
  process.stdout.write(line);
}

/**
 * Runs a change and reports it to the parent process, which keeps the ledger: before it starts, the values to store,
 * and afterwards whether it was acknowledged or how it was refused. Resolves to the error, or undefined.
 */
export async function attempt(changes, change) {
  const n = ++attempts;
  const stored = Object.fromEntries(Object.entries(change.changes).map(([key, value]) => [key, digest(value)]));
  say({ attempt: n, kind: change.kind, changes: stored });
  try {
    await change.run();
  } catch (error) {
    changes.settle(change, false);
    const { code, outcome, message } = error;
    say({ refused: n, kind: change.kind, code, outcome, message });
    return error;
  }
  changes.settle(change, true);
  say({ stored: n });
  return undefined;
}

/**
 * The changes of one writer. `next(kind?)` returns `{ kind, changes, run }`: the values that are stored under each key
 * once `run()` has resolved (null for nothing). Report its end with `settle(change, isStored)`. Records that may or may
 * not have been stored are not changed again. Several changes may run at once, and no two of them touch the same
 * record.
 */
export class Changes {
  #open;
  #writer;
  #random;
  #count = 0;
  #busy = new Set();
  #kinds;
  /** The values that this writer has stored, by area. */
  #known = {
    memory: new Map(),
    session: new Map(),
    talk: new Map(),
    node: new Map(),
    story: new Map(),
    file: new Map(),
  };

  /** `next()` picks from `kinds`. A kind that occurs several times is picked more often. */
  constructor(open, writer, seed, kinds = Changes.kinds) {
    this.#open = open;
    this.#writer = writer;
    this.#kinds = kinds;
    this.#random = seeded(seed);
  }

  static kinds = Object.keys(kinds());
  /** The records that running changes use. */
  static first = ["insertMemory", "startSession", "insertConversation", "addGraph", "saveStory", "saveFile"];

  /** Undefined if `kind` needs a record that does not exist yet. */
  next(kind) {
    for (;;) {
      const name = kind ?? this.#random.pick(this.#kinds);
      const change = kinds()[name](this.#tools());
      if (change === undefined && kind === undefined) continue;
      for (const key of change?.uses ?? []) this.#busy.add(key);
      return change && { kind: name, ...change };
    }
  }

  settle(change, isStored) {
    for (const key of change.uses) this.#busy.delete(key);
    if (isStored) change.keep();
    // Its records may be in the old state or the new one.
    else for (const key of change.uses) for (const area of Object.values(this.#known)) area.delete(key);
  }

  #tools() {
    const { storage, stories, places } = this.#open;
    const random = this.#random;
    const n = ++this.#count;
    const id = `${this.#writer}-${n}`;
    const free = (area, fits = () => true) => {
      const ids = [...this.#known[area]].filter(([key, value]) => !this.#busy.has(key) && fits(value));
      return ids.length === 0 ? undefined : random.pick(ids.slice(-20));
    };
    const text = () => `word${n}x${random.below(1000)} ${"filler ".repeat(random.pick([0, 3, 40, 400]))}${id}`;
    return { storage, stories, places, random, n, id, free, text, known: this.#known, writer: this.#writer };
  }
}

/** Functions by name that create a change, or return undefined if they need a record that does not exist yet. */
function kinds() {
  const at = (storage, project) => storage.project(project);
  const projectOf = (id) => PROJECTS[id.length % 2];
  const memoryKey = (id) => `memory/${projectOf(id)}/${id}`;
  const insertMemory = ({ storage, id, text, known, random }) => {
    const content = text();
    const input = { id, content, type: random.pick(["decision", "context"]), metadata: { from: id } };
    return {
      uses: [id],
      changes: { [memoryKey(id)]: memoryValue(content) },
      run: () => at(storage, projectOf(id)).memories.insert(input),
      keep: () => known.memory.set(id, { content, deleted: false }),
    };
  };
  return {
    insertMemory,

    insertMemories({ storage, id, text, known }) {
      const inputs = ["a", "b", "c", "d"].map((letter) => ({ id: `${id}${letter}`, content: text() }));
      const project = projectOf(inputs[0].id);
      return {
        uses: inputs.map((input) => input.id),
        changes: Object.fromEntries(inputs.map((input) => [memoryKey(input.id), memoryValue(input.content)])),
        run: () => at(storage, project).memories.insertMany(inputs),
        keep: () => inputs.map((input) => known.memory.set(input.id, { content: input.content, deleted: false })),
      };
    },

    updateMemory({ storage, free, text, known }) {
      const found = free("memory", ({ deleted }) => !deleted);
      if (found === undefined) return undefined;
      const [id] = found;
      const content = text();
      return {
        uses: [id],
        changes: { [memoryKey(id)]: memoryValue(content) },
        run: () => at(storage, projectOf(id)).memories.update(id, { content }),
        keep: () => known.memory.set(id, { content, deleted: false }),
      };
    },

    deleteOrRestoreMemory({ storage, free, known }) {
      const found = free("memory");
      if (found === undefined) return undefined;
      const [id, { content, deleted }] = found;
      const { memories } = at(storage, projectOf(id));
      return {
        uses: [id],
        changes: { [memoryKey(id)]: memoryValue(content, !deleted) },
        run: () => (deleted ? memories.restore(id) : memories.delete(id)),
        keep: () => known.memory.set(id, { content, deleted: !deleted }),
      };
    },

    purgeMemory({ storage, free, known }) {
      const found = free("memory");
      if (found === undefined) return undefined;
      const [id] = found;
      return {
        uses: [id],
        changes: { [memoryKey(id)]: null },
        run: () => at(storage, projectOf(id)).memories.purge(id),
        keep: () => known.memory.delete(id),
      };
    },

    /** The bare client, and a table that is not ours. */
    batch({ storage, id, text }) {
      const content = text();
      const insert = (half) => ({
        sql: "INSERT INTO pairs (id, half, text) VALUES (?, ?, ?)",
        args: [`${id}-${half}`, half, content],
      });
      return {
        uses: [id],
        changes: { [`pair/${id}-1`]: content, [`pair/${id}-2`]: content },
        run: () => storage.client.batch([insert(1), insert(2)], "write"),
        keep: () => undefined,
      };
    },

    /** Changes across areas, with one savepoint that is kept and one that is rolled back. */
    transaction({ storage, id, text, known }) {
      const content = text();
      const key = `${id}t`;
      return {
        uses: [key],
        changes: {
          [`memory/one/${key}`]: memoryValue(content),
          [`session/${key}`]: "open",
          [`talk/${key}`]: conversationValue(key, null),
          [`message/${key}/1`]: content,
          [`node/${key}`]: nodeValue(1, [key]),
          [`story/${key}`]: storyValue(content, ["t"], 1),
        },
        run: () =>
          storage.transaction(async (tx) => {
            const one = tx.project("one");
            await one.memories.insert({ id: key, content });
            await tx
              .savepoint(async (inner) => {
                await inner.project("one").memories.insert({ id: `${key}-never`, content });
                await inner.project("one").sessions.start(`${key}-never`);
                throw new Error("taken back");
              })
              .catch((error) => {
                if (error.message !== "taken back") throw error;
              });
            await tx.savepoint(async (inner) => {
              const { sessions, conversations } = inner.project("one");
              await sessions.start(key);
              await conversations.insert({ id: key, title: key });
            });
            await one.conversations.append(key, { role: "user", content });
            await one.graph.addNode({ id: key, kind: "kind", name: key, data: { n: 1 }, labels: [key] });
            await one.stories.saveStory(key, { text: content }, { metadata: { tags: ["t"] } });
          }),
        keep: () => known.talk.set(key, { messages: 1, shared: 0 }),
      };
    },

    startSession({ storage, id, known }) {
      return {
        uses: [id],
        changes: { [`session/${id}`]: "open" },
        run: () => at(storage, "one").sessions.start(id),
        keep: () => known.session.set(id, true),
      };
    },

    endSession({ storage, free, text, known }) {
      const found = free("session");
      if (found === undefined) return undefined;
      const [id] = found;
      const summary = text().slice(0, 200).trim();
      return {
        uses: [id],
        changes: { [`session/${id}`]: `ended ${summary}` },
        run: () => at(storage, "one").sessions.end(id, summary),
        keep: () => known.session.delete(id),
      };
    },

    insertConversation({ storage, id, text, known }) {
      const messages = [text(), text()].map((content) => ({ role: "user", content }));
      return {
        uses: [id],
        changes: {
          [`talk/${id}`]: conversationValue(id, null),
          [`message/${id}/1`]: messages[0].content,
          [`message/${id}/2`]: messages[1].content,
        },
        run: () => at(storage, "one").conversations.insert({ id, title: id, messages }),
        keep: () => known.talk.set(id, { messages: 2, shared: 0 }),
      };
    },

    append({ storage, free, text, known, id: clientId }) {
      const found = free("talk", ({ deleted }) => !deleted);
      if (found === undefined) return undefined;
      const [id, talk] = found;
      const content = text();
      return {
        uses: [id],
        changes: { [`message/${id}/${talk.messages + 1}`]: content },
        run: () => at(storage, "one").conversations.append(id, { role: "assistant", content, clientId }),
        keep: () => known.talk.set(id, { ...talk, messages: talk.messages + 1 }),
      };
    },

    appendMany({ storage, free, text, known }) {
      const found = free("talk", ({ deleted }) => !deleted);
      if (found === undefined) return undefined;
      const [id, talk] = found;
      const messages = [text(), text(), text()].map((content) => ({ role: "user", content }));
      return {
        uses: [id],
        changes: Object.fromEntries(
          messages.map(({ content }, i) => [`message/${id}/${talk.messages + 1 + i}`, content]),
        ),
        run: () => at(storage, "one").conversations.append(id, messages),
        keep: () => known.talk.set(id, { ...talk, messages: talk.messages + 3 }),
      };
    },

    appendShared({ storage, id: clientId, text }) {
      const content = text();
      return {
        uses: [clientId],
        changes: { [`shared/${clientId}`]: content },
        run: () => at(storage, "one").conversations.append(SHARED_CONVERSATION, { role: "user", content, clientId }),
        keep: () => undefined,
      };
    },

    updateMessage({ storage, free, text }) {
      const found = free("talk", ({ deleted, messages, shared }) => !deleted && messages > shared);
      if (found === undefined) return undefined;
      const [id, talk] = found;
      const content = text();
      const { conversations } = at(storage, "one");
      return {
        uses: [id],
        changes: { [`message/${id}/${talk.messages}`]: content },
        run: async () => {
          const { items } = await conversations.messages(id, { after: talk.messages - 1 });
          await conversations.updateMessage(items[0].id, { content });
        },
        keep: () => undefined,
      };
    },

    fork({ storage, id, free, known }) {
      const found = free("talk", ({ deleted, messages }) => !deleted && messages > 0);
      if (found === undefined) return undefined;
      const [source, talk] = found;
      const forkedFrom = { id: source, seq: talk.messages };
      return {
        uses: [id, source],
        changes: { [`talk/${id}`]: conversationValue(id, forkedFrom) },
        run: () => at(storage, "one").conversations.fork(source, { title: id, id }),
        keep() {
          known.talk.set(source, { ...talk, isForked: true });
          known.talk.set(id, { messages: talk.messages, shared: talk.messages, forkedFrom });
        },
      };
    },

    deleteOrRestoreConversation({ storage, free, known }) {
      const found = free("talk");
      if (found === undefined) return undefined;
      const [id, talk] = found;
      const { conversations } = at(storage, "one");
      return {
        uses: [id],
        changes: { [`talk/${id}`]: conversationValue(id, talk.forkedFrom, !talk.deleted) },
        run: () => (talk.deleted ? conversations.restore(id) : conversations.delete(id)),
        keep: () => known.talk.set(id, { ...talk, deleted: !talk.deleted }),
      };
    },

    purgeConversation({ storage, free, known }) {
      const found = free("talk", ({ isForked, shared }) => !isForked && shared === 0);
      if (found === undefined) return undefined;
      const [id, talk] = found;
      const keys = [`talk/${id}`, ...Array.from({ length: talk.messages }, (_, i) => `message/${id}/${i + 1}`)];
      return {
        uses: [id],
        changes: Object.fromEntries(keys.map((key) => [key, null])),
        run: () => at(storage, "one").conversations.purge(id),
        keep: () => known.talk.delete(id),
      };
    },

    addGraph({ storage, id, known }) {
      const ids = ["a", "b", "c"].map((letter) => `${id}${letter}`);
      const nodes = ids.map((one) => ({ id: one, kind: "kind", name: one, data: { n: 0 }, labels: ["new"] }));
      return {
        uses: ids,
        changes: Object.fromEntries(ids.map((one) => [`node/${one}`, nodeValue(0, ["new"])])),
        run: () => at(storage, "one").graph.addNodes(nodes),
        keep: () => ids.map((one) => known.node.set(one, { n: 0 })),
      };
    },

    addEdge({ storage, id, free }) {
      const from = free("node");
      const to = free("node");
      if (from === undefined) return undefined;
      const edge = { id, from: from[0], to: to[0], type: id, weight: 2 };
      return {
        uses: [id, from[0], to[0]],
        changes: { [`edge/${id}`]: `${from[0]} ${to[0]} ${id} 2` },
        run: () => at(storage, "one").graph.addEdge(edge),
        // Do not delete a node with an edge, because its edges would be deleted too.
        keep: () => undefined,
      };
    },

    updateNode({ storage, n, free, known }) {
      const found = free("node");
      if (found === undefined) return undefined;
      const [id] = found;
      const labels = [`at${n}`, "new"];
      return {
        uses: [id],
        changes: { [`node/${id}`]: nodeValue(n, labels) },
        run: () => at(storage, "one").graph.putNode({ id, kind: "kind", name: id, data: { n }, labels }),
        keep: () => known.node.set(id, { n }),
      };
    },

    saveStory({ storage, id, free, text, random, known }) {
      return saved(at(storage, "one").stories, "story", { id, free, text, random, known });
    },

    saveStories({ storage, id, text, known }) {
      const ids = [`${id}a`, `${id}b`];
      const content = text();
      return {
        uses: ids,
        changes: Object.fromEntries(ids.map((one) => [`story/${one}`, storyValue(content, [], 1)])),
        run: () =>
          at(storage, "one").stories.batchSave(Object.fromEntries(ids.map((one) => [one, { text: content }])), {
            atomic: true,
          }),
        keep: () => ids.map((one) => known.story.set(one, { content, tags: [], revision: 1 })),
      };
    },

    tagStory: ({ storage, free, n, known }) => tagged(at(storage, "one").stories, "story", { free, n, known }),
    deleteStory: ({ storage, free, known }) => deleted(at(storage, "one").stories, "story", { free, known }),

    saveFile: ({ stories, id, free, text, random, known }) => saved(stories, "file", { id, free, text, random, known }),
    tagFile: ({ stories, free, n, known }) => tagged(stories, "file", { free, n, known }),
    deleteFile: ({ stories, free, known }) => deleted(stories, "file", { free, known }),

    /** Changes nothing, whether it succeeds or fails. */
    checkpoint({ storage }) {
      return { uses: [], changes: {}, run: () => storage.client.checkpoint(), keep: () => undefined };
    },

    backup({ storage, places, id }) {
      const destination = join(places.backups, `${id}.db`);
      return {
        uses: [id],
        changes: { [`backup/${id}.db`]: "file" },
        run: () => storage.backup(destination),
        keep: () => undefined,
      };
    },
  };
}

function saved(service, area, { id: fresh, free, text, random, known }) {
  const found = random.below(2) === 0 ? undefined : free(area);
  const [id, story] = found ?? [fresh, { tags: [], revision: 0 }];
  const content = text();
  const revision = story.revision + 1;
  return {
    uses: [id],
    changes: { [`${area}/${id}`]: storyValue(content, story.tags, revision) },
    run: () => service.saveStory(id, { text: content }, { expectedRevision: story.revision }),
    keep: () => known[area].set(id, { content, tags: story.tags, revision }),
  };
}

function tagged(service, area, { free, n, known }) {
  const found = free(area);
  if (found === undefined) return undefined;
  const [id, story] = found;
  const tags = [`tag${n}`];
  const revision = story.revision + 1;
  return {
    uses: [id],
    changes: { [`${area}/${id}`]: storyValue(story.content, tags, revision) },
    run: () => service.updateMetadata(id, { tags }),
    keep: () => known[area].set(id, { ...story, tags, revision }),
  };
}

function deleted(service, area, { free, known }) {
  const found = free(area);
  if (found === undefined) return undefined;
  const [id] = found;
  return {
    uses: [id],
    changes: { [`${area}/${id}`]: null },
    run: () => service.deleteStory(id),
    // Its revisions stay, and their numbers continue if it is saved again.
    keep: () => known[area].delete(id),
  };
}

/**
 * The stored values by the keys that the changes name: `{ values, problems }`. A duplicate record, a gap in the numbers
 * of messages, or a fork without its prefix is a problem.
 */
export async function readEverything({ storage, stories, places }) {
  const values = new Map();
  const problems = [];
  const put = (key, value) => {
    if (values.has(key)) problems.push(`${key} is there twice`);
    values.set(key, value);
  };
  const select = async (sql) => (await storage.client.execute(sql)).rows;
  for (const project of PROJECTS) {
    const { memories } = storage.project(project);
    for await (const memory of pages((cursor) => memories.list({ limit: 200, cursor }))) {
      if (memory.project !== project) problems.push(`${memory.id} is shown by ${project}`);
      put(`memory/${project}/${memory.id}`, memoryValue(memory.content));
    }
  }
  for (const row of await select("SELECT project, id, content FROM memories WHERE deleted_at IS NOT NULL")) {
    put(`memory/${row.project}/${row.id}`, memoryValue(row.content, true));
  }
  const { sessions, conversations, graph, stories: own } = storage.project("one");
  for await (const session of pages((cursor) => sessions.list({ limit: 200, cursor }))) {
    put(`session/${session.id}`, session.endedAt === null ? "open" : `ended ${session.summary}`);
  }
  for await (const talk of pages((cursor) => conversations.list({ limit: 200, cursor }))) {
    let seq = 0;
    for await (const message of pages((cursor) => conversations.messages(talk.id, { limit: 500, cursor }))) {
      if (message.seq !== ++seq) problems.push(`message ${message.seq} of ${talk.id} follows ${seq - 1}`);
      if (talk.id === SHARED_CONVERSATION) put(`shared/${message.clientId}`, message.content);
      else if (message.conversationId === talk.id) put(`message/${talk.id}/${message.seq}`, message.content);
    }
    if (seq !== talk.messageCount) problems.push(`${talk.id} counts ${talk.messageCount} messages and has ${seq}`);
    if (talk.id !== SHARED_CONVERSATION) put(`talk/${talk.id}`, conversationValue(talk.title, talk.forkedFrom));
  }
  const isDeleted = "c.deleted_at IS NOT NULL AND c.purged_at IS NULL";
  for (const row of await select(`SELECT * FROM conversations AS c WHERE ${isDeleted}`)) {
    const forkedFrom = row.forked_from_id === null ? null : { id: row.forked_from_id, seq: row.forked_from_seq };
    put(`talk/${row.id}`, conversationValue(row.title, forkedFrom, true));
  }
  for (const row of await select(
    `SELECT c.id, m.seq, m.content FROM messages AS m JOIN conversations AS c ON c.row_id = m.conversation_row_id WHERE ${isDeleted}`,
  )) {
    put(`message/${row.id}/${row.seq}`, row.content);
  }
  for await (const node of pages((cursor) => graph.findNodes({ limit: 200, cursor }))) {
    put(`node/${node.id}`, nodeValue(node.data.n, node.labels));
  }
  for await (const edge of pages((cursor) => graph.edges({ limit: 200, cursor }))) {
    put(`edge/${edge.id}`, `${edge.from} ${edge.to} ${edge.type} ${edge.weight}`);
  }
  for (const [area, service] of [
    ["story", own],
    ["file", stories],
  ]) {
    for (const { id, tags, revision } of (await service?.listStories()) ?? []) {
      const story = await service.loadStory(id);
      if (story === undefined) problems.push(`the story ${id} is listed and cannot be loaded`);
      else put(`${area}/${id}`, storyValue(story.text, tags, revision));
      const newest = (await service.revisions(id))[0]?.revision;
      if (newest !== revision) problems.push(`the newest revision of ${id} is ${newest}, not ${revision}`);
    }
  }
  for (const { id, text } of await select("SELECT id, text FROM pairs")) put(`pair/${id}`, text);
  const copies = existsSync(places.backups) ? readdirSync(places.backups) : [];
  for (const name of copies) if (name.endsWith(".db")) put(`backup/${name}`, "file");
  return { values: new Map([...values].map(([key, value]) => [key, digest(value)])), problems };
}

async function* pages(read) {
  let cursor;
  do {
    const page = await read(cursor);
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}
