#!/usr/bin/env node
import { asFileError } from "../files/file-error.js";
import { report, runProgram } from "./program.js";

// Output that cannot be written ends the command, whatever it is doing; to a reader that has seen enough, in silence.
process.stdout.on("error", (error: NodeJS.ErrnoException) =>
  process.exit(report(error.code === "EPIPE" ? error : asFileError(error, "Cannot write the output"))),
);

process.exitCode = await runProgram(process.argv.slice(2));
