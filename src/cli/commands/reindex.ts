import type { CliCommand } from "../command.js";
import { withExisting } from "../target.js";

export const reindexCommand: CliCommand = {
  usage: "reindex",
  summary: "rebuild the full-text indexes from the contents",
  example: "reindex --url ./data/app.db",
  run(context) {
    return withExisting(context, async (storage) => {
      const result = await storage.reindex(
        context.longCall("Searches work as before. Run it again for the remaining indexes"),
      );
      context.output.result(result, () => {
        for (const table of result.tables) context.output.line(`rebuilt ${table}`);
      });
      return 0;
    });
  },
};
