import { checkFile } from "../../maintenance/check.js";
import type { CheckResult, Finding } from "../../maintenance/findings.js";
import type { CliCommand, CommandContext } from "../command.js";
import { fileOf, withStorage } from "../target.js";

export const checkCommand: CliCommand = {
  usage: "check",
  summary: "look for damage, in a separate process; exit code 1 if there is any",
  example: "check --deep --url ./data/app.db",
  options(command) {
    command.option("--deep", "also compare every index with its table, and every record with its checksum");
    command.option("--repair", "then repair what can be repaired without loss: triggers and full-text indexes");
  },
  async run(context, { options }) {
    const deep = options.deep === true;
    const found = await check(context, deep);
    let result = found;
    let repaired: Finding[] = [];
    if (options.repair === true && found.findings.some(({ repair }) => repair !== undefined)) {
      ({ repaired } = await withStorage(context, { migrate: "skip" }, (storage) =>
        storage.repair(found.findings, context.longCall()),
      ));
      result = await check(context, deep);
    }
    context.output.result({ ...result, repaired }, () => show(context, result, repaired));
    return result.ok ? 0 : 1;
  },
};

function check(context: CommandContext, deep: boolean): Promise<CheckResult> {
  const path = fileOf(context);
  if (path !== undefined) return checkFile(path, { deep, ...context.longCall() });
  return withStorage(context, { migrate: "skip" }, (storage) => storage.check({ deep, ...context.longCall() }));
}

function show({ output }: CommandContext, { ok, findings }: CheckResult, repaired: readonly Finding[]): void {
  const rows = [
    ...repaired.map(({ code, message }) => ["repaired", code, message]),
    ...findings.map(({ severity, code, message }) => [severity, code, message]),
  ];
  // Messages are not cut: they say what to do.
  for (const row of rows) output.line(row.join("  "));
  output.line(ok ? "ok" : "not ok");
}
