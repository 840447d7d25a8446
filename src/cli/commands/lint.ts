import { relative } from "node:path";
import { InvalidArgumentError } from "commander";
import { lint } from "../../migrate/index.js";
import type { CliCommand } from "../command.js";

export const lintCommand: CliCommand = {
  usage: "lint",
  summary: "look for mistakes in a folder of migrations, without a database; exit code 1 if there are any",
  example: "lint --folder ./drizzle",
  opensDatabase: false,
  options(command) {
    command.option("--folder <dir>", "migrations of your own, as drizzle-kit writes them");
    command.option("--after <tag>", "only report on migrations after this one, which is released");
  },
  async run({ output }, { options }) {
    const { folder, after } = options as { folder?: string; after?: string };
    if (folder === undefined) throw new InvalidArgumentError("Expected --folder.");
    const found = await lint({ folder, after });
    const findings = found.findings.map((finding) => ({ ...finding, file: relative("", finding.file) }));
    output.result({ ...found, findings }, () => {
      for (const { file, line, severity, code, message } of findings) {
        output.line(`${file}:${line}: ${severity} ${code}: ${message}`);
      }
      if (found.ok) output.line("ok");
    });
    return found.ok ? 0 : 1;
  },
};
