import { type CheckOptions, checkFile } from "../../maintenance/check.js";
import type { CheckResult, Finding } from "../../maintenance/findings.js";
import { restoreMissingObjects } from "../../migrate/index.js";
import type { CliCommand, CommandContext } from "../command.js";
import { inCommandWords } from "../command-words.js";
import { addSetOptions, checkedSetOf } from "../migration-set.js";
import type { Style } from "../style.js";
import { fileOf, withStorage } from "../target.js";

const STYLES: Readonly<Record<string, Style>> = { error: "red", warning: "yellow", repaired: "green" };

export const checkCommand: CliCommand = {
  usage: "check",
  summary: "look for damage, in a separate process; exit code 1 if there is any",
  example: "check --deep --url ./data/app.db",
  options(command) {
    addSetOptions(command);
    command.option("--deep", "also compare every index with its table, and every record with its checksum");
    command.option("--repair", "then repair what can be repaired without loss: triggers and full-text indexes");
  },
  async run(context, { options }) {
    const migrations = checkedSetOf(options);
    const wanted = { deep: options.deep === true, ...(migrations === undefined ? {} : { migrations }) };
    const found = await check(context, wanted);
    let result = found;
    let repaired: Finding[] = [];
    if (options.repair === true && found.findings.some(({ repair }) => repair !== undefined)) {
      ({ repaired } = await withStorage(context, { migrate: "skip" }, async (storage) => {
        if (migrations !== undefined) await restoreMissingObjects(storage.client, migrations);
        return storage.repair(found.findings, context.longCall("Finished repairs stay. Run it again for the others"));
      }));
      result = await check(context, wanted);
    }
    context.output.result({ ...result, repaired }, () => show(context, result, repaired));
    return result.ok ? 0 : 1;
  },
};

function check(context: CommandContext, wanted: CheckOptions): Promise<CheckResult> {
  const path = fileOf(context);
  const options = { ...wanted, ...context.longCall("Nothing was changed") };
  if (path !== undefined) return checkFile(path, options);
  return withStorage(context, { migrate: "skip" }, (storage) => storage.check(options));
}

function show({ output, url }: CommandContext, { ok, findings }: CheckResult, repaired: readonly Finding[]): void {
  const rows = [
    ...repaired.map(({ code, message }) => ["repaired", code, message]),
    ...findings.map(({ severity, code, message }) => [severity, code, inCommandWords(message, url)]),
  ];
  // Messages are not cut: they say what to do.
  for (const [severity = "", ...rest] of rows) {
    output.line([{ text: severity, style: STYLES[severity] }, { text: `  ${rest.join("  ")}` }]);
  }
  output.line(ok ? "ok" : "not ok", ok ? "green" : "red");
}
