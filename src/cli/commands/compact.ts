import type { CliCommand } from "../command.js";
import { requireFile, withStorage } from "../target.js";
import { toSize } from "../text.js";

export const compactCommand: CliCommand = {
  usage: "compact",
  summary: "return the free pages of the file to the file system, while others read and write",
  example: "compact --url ./data/app.db",
  run(context) {
    requireFile(context);
    return withStorage(context, { migrate: "skip" }, async (storage) => {
      const result = await storage.compact(context.longCall("Nothing is lost. Run it again for the remaining pages"));
      context.output.result(result, () => {
        const { bytesBefore, bytesAfter, freeBytes } = result;
        context.output.line(`${toSize(bytesBefore)} before, ${toSize(bytesAfter)} now`);
        if (freeBytes > 0) {
          context.output.line(`${toSize(freeBytes)} stay free in the file: run \`holdfast check\` to see why`);
        }
      });
      return 0;
    });
  },
};
