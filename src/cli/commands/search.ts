import { DEFAULT_PROJECT } from "../../areas/arguments.js";
import { parseCount } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { noteNothingFound } from "../project-note.js";
import { withReadable } from "../target.js";

export const searchCommand: CliCommand = {
  usage: "search <text>",
  summary: "search the memories of a project",
  example: 'search "how do migrations lock?" --project my-agent --url ./data/app.db',
  options(command) {
    command.option("--limit <n>", "most results", parseCount, 10);
    command.option("--type <type>", "only memories of this type");
  },
  run(context, { args, options }) {
    const { limit, type } = options as { limit: number; type?: string };
    return withReadable(context, async (storage) => {
      const { project = DEFAULT_PROJECT } = context;
      const found = await storage.project(project).memories.search(args[0]!, { limit, type });
      const note = found.length > 0 ? undefined : await noteNothingFound(storage, project);
      const results = found.map(({ memory: { embedding: _, ...memory }, ...rest }) => ({ ...rest, memory }));
      return () => {
        note?.(context.output);
        context.output.result({ query: args[0], results }, () => {
          context.output.table(
            ["match", "type", "created", "id", "snippet"],
            results.map(({ match, memory, snippet }) => [
              match,
              memory.type,
              memory.createdAt.toISOString().slice(0, 16),
              memory.id,
              snippet,
            ]),
          );
        });
      };
    });
  },
};
