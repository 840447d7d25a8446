/** A story editor: open, edit with autosave, merge with a second editor, revert, move from files to a database. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Autosave, copyStories, openStories } from "holdfast/stories";

const folder = process.env.HOLDFAST_DATA_DIR ?? mkdtempSync(join(tmpdir(), "stories-"));
const editor = await openStories({ backend: "filesystem", path: join(folder, "files") });
editor.on("story_created", ({ id }) => console.log(`created ${id}`));

const story = { id: "lighthouse", title: "The Lighthouse", passages: [{ id: "start", text: "Fog." }] };
await editor.saveStory(story.id, story, { metadata: { tags: ["mystery"] } });

// Edits are saved when the user stops typing. A Save button would call saveNow.
const autosave = new Autosave({
  service: editor,
  debounce: 50,
  resolve: ({ local, remote }) => ({ merged: { ...remote, ...local, title: `${local.title} (merged)` } }),
});
autosave.on("conflict", ({ id, remoteRevision }) => console.log(`conflict on ${id} with revision ${remoteRevision}`));
autosave.markDirty(story.id, { ...story, passages: [{ id: "start", text: "Fog, and a light." }] });
await autosave.saveNow(story.id);

// A second editor, perhaps in another process, saves at the same time. The edits of both are kept.
const second = await openStories({ backend: "filesystem", path: join(folder, "files") });
await second.saveStory(story.id, { ...story, author: "Ada" });
autosave.markDirty(story.id, { ...story, passages: [{ id: "start", text: "A bell in the fog." }] });
await autosave.saveNow(story.id);
console.log(await editor.loadStory(story.id));

// The last revisions are kept. Reverting to an old one stores it as a new one.
for (const { revision, size } of await editor.revisions(story.id)) console.log(`revision ${revision}: ${size} bytes`);
await editor.revert(story.id, 2);

// Copies the stories from files to a database, with tags, times and history. Each copy is read back and compared.
const database = await openStories({ backend: "libsql", path: join(folder, "stories.db") });
const { copied } = await copyStories(editor, database);
const [moved] = await database.listStories({ tags: ["mystery"] });
console.log(`moved ${copied}: ${moved?.title}, revision ${moved?.revision}`);
for (const service of [second, editor, database]) await service.close();
