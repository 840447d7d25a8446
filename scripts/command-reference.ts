// Writes the command-line reference, generated from the help, into README.md and docs/reference/commands.md.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildProgram, COMMANDS } from "../src/cli/program.js";

const BEGIN = "<!-- commands: written by `npm run docs:commands` -->";
const END = "<!-- end of commands -->";

const pathOf = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** The files that contain the reference, with the text they should have. */
export function commandReference(): { readonly path: string; readonly text: string }[] {
  const readme = readFileSync(pathOf("README.md"), "utf8");
  const [before, after] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`README.md must contain the marks ${BEGIN} and ${END}`);
  const text = `${readme.slice(0, before)}${BEGIN}\n${table()}\n${readme.slice(after)}`;
  return [
    { path: pathOf("README.md"), text },
    { path: pathOf("docs/reference/commands.md"), text: helpPage() },
  ];
}

function table(): string {
  const rows = COMMANDS.map(({ usage, summary, example }) => `| \`${usage}\` | ${summary} | \`holdfast ${example}\` |`);
  return ["| command | what it does | for example |", "|---|---|---|", ...rows].join("\n");
}

function helpPage(): string {
  const program = buildProgram(() => undefined);
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
  return `# The \`holdfast\` command\n\nWritten from its help by \`npm run docs:commands\`.\n\n${sections.join("\n")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, text } of commandReference()) writeFileSync(path, text);
}
