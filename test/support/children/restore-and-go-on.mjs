// Fills a database, backs it up, changes it, and restores the backup. Reports at each step what a reader may find.
import { join } from "node:path";
import { openStorage, restore } from "holdfast";
import { OWN_TABLE, openEverything, placesIn, readEverything, say } from "./workload.mjs";

const { dir, rows } = JSON.parse(process.argv[2]);
const { database, backups } = placesIn(dir);
const backup = join(backups, "first.db");
const text = (n) => `row ${n} ${"filler ".repeat(100)}`;

let open = await openEverything(dir, { withStories: false, checkpoint: { walBytes: 64 * 1024 } });
await open.storage.client.execute(OWN_TABLE);
await open.storage
  .project("one")
  .memories.insertMany(Array.from({ length: rows }, (_, n) => ({ id: `${n}`, content: text(n) })));
const before = [...(await readEverything(open)).values];
say({ mayBe: [before] });
await open.storage.backup(backup);
const withBackup = [...(await readEverything(open)).values];
say({ mayBe: [withBackup] });
// Until the next mark, each of these may or may not be there.
say({ mayBe: [] });
await open.storage.project("one").memories.purge("0");
await open.storage.project("one").memories.insert({ id: "later", content: text(rows) });
const after = [...(await readEverything(open)).values];
await open.close();
say({ mayBe: [after] });
say({ mayBe: [after, withBackup] });
await restore(backup, database);
say({ mayBe: [withBackup] });
const again = await openStorage(database);
say({ mayBe: [] });
await again.project("one").memories.insert({ id: "last", content: "after the restore" });
await again.close();
open = await openEverything(dir, { withStories: false });
say({ mayBe: [[...(await readEverything(open)).values]] });
await open.close();
