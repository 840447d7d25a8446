import type { CliCommand } from "../command.js";
import { noteForProject } from "../project-note.js";
import { withReadable } from "../target.js";
import { toSize } from "../text.js";

export const statsCommand: CliCommand = {
  usage: "stats",
  summary: "show sizes, rows by table and records by project",
  example: "stats --url ./data/app.db",
  run(context) {
    return withReadable(context, async (storage) => {
      const { schemaVersion, fileBytes, walBytes, freePages } = await storage.stats();
      const { path, tables } = await storage.health();
      const all = await storage.projects();
      const projects = all.filter(({ project }) => context.project === undefined || project === context.project);
      const { output } = context;
      const note = await noteForProject(storage, context.project);
      return () => {
        note(output);
        output.result({ path, schemaVersion, fileBytes, walBytes, freePages, tables, projects }, () => {
          output.table(
            ["what", "value"],
            [
              ["path", path],
              ["migrations", String(schemaVersion)],
              ["file", toSize(fileBytes)],
              ["log", toSize(walBytes)],
              ["free pages", String(freePages)],
              ...tables.filter(({ rows }) => rows > 0).map(({ table, rows }) => [`rows of ${table}`, String(rows)]),
              ...projects.map(({ project, count }) => [`records of project ${project}`, String(count)]),
            ],
          );
        });
      };
    });
  },
};
