import { InvalidArgumentError } from "commander";
import { AREAS } from "../../areas/registry.js";
import type { PrunePolicy, PruneResult } from "../../maintenance/prune.js";
import type { Storage } from "../../storage/storage.js";
import { parseAge, parseBytes, parseCount, parseOneOf } from "../arguments.js";
import type { CliCommand, CommandContext } from "../command.js";
import { noteForProject } from "../project-note.js";
import { withExisting, withReadable } from "../target.js";
import { toSize } from "../text.js";

export const pruneCommand: CliCommand = {
  usage: "prune",
  summary: "remove deleted records, then the oldest, for good until the limits are met",
  example: "prune --older-than 90d --max-rows 100000 --dry-run --url ./data/app.db",
  options(command) {
    command.option(
      "--older-than <age>",
      "remove records last changed before: 90d, 12h, 2026-01-31 (lists take `since` for the creation)",
      parseAge,
    );
    command.option("--max-rows <n>", "most records to keep of each project and area", parseCount);
    command.option("--max-bytes <n>", "most bytes of content to keep of each project and area", parseBytes);
    command.option("--area <name>", "only this area", parseOneOf(AREAS.map(({ name }) => name)));
    command.option("--dry-run", "report what would be removed, and change nothing");
  },
  async run(context, { options }) {
    const { olderThan, maxRows, maxBytes, area, dryRun } = options as PrunePolicy;
    if (olderThan === undefined && maxRows === undefined && maxBytes === undefined) {
      throw new InvalidArgumentError("Expected --older-than, --max-rows or --max-bytes.");
    }
    const limits = { olderThan, maxRows, maxBytes, area, project: context.project };
    const prune = async (storage: Storage) => {
      const note = await noteForProject(storage, context.project);
      const result = await storage.prune({ ...limits, dryRun: dryRun === true, ...context.longCall() });
      return () => {
        note(context.output);
        show(context, result);
      };
    };
    if (dryRun === true) return withReadable(context, prune);
    (await withExisting(context, prune))();
    return 0;
  },
};

function show({ output }: CommandContext, result: PruneResult): void {
  output.result(result, () => {
    const rows = result.removed.map((one) => [one.project, one.area, String(one.rows)]);
    if (rows.length > 0) output.table(["project", "area", "rows"], rows);
    output.line(`${result.dryRun ? "would remove" : "removed"} ${toSize(result.bytes)} of content`);
  });
}
