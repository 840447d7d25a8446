// Writes the command-line reference, generated from the help, into docs/reference/commands.md.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../src/cli/commands.js";
import { buildProgram } from "../src/cli/program.js";

/** The file of the reference, with the text it should have. */
export function commandReference(): { readonly path: string; readonly text: string } {
  return { path: fileURLToPath(new URL("../docs/reference/commands.md", import.meta.url)), text: helpPage() };
}

function table(): string {
  const rows = COMMANDS.map(({ usage, summary, example }) => `| \`${usage}\` | ${summary} | \`holdfast ${example}\` |`);
  return ["| command | what it does | for example |", "|---|---|---|", ...rows].join("\n");
}

function helpPage(): string {
  const program = buildProgram(COMMANDS, () => undefined);
  const sections = [program, ...program.commands.filter((command) => command.name() !== "help")].map((command) => {
    let help = "";
    // Captures the whole help, including the example after it.
    command.configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    command.outputHelp();
    const title = command === program ? "holdfast" : `holdfast ${command.name()}`;
    return `## ${title}\n\n\`\`\`text\n${help.trim()}\n\`\`\`\n`;
  });
  return `# The \`holdfast\` command\n\nWritten from its help by \`npm run docs:commands\`.\n\n${table()}\n\n${sections.join("\n")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, text } = commandReference();
  writeFileSync(path, text);
}
