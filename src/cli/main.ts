#!/usr/bin/env node
import { asFileError } from "../files/file-error.js";
import { report, runProgram } from "./program.js";

// If the output cannot be written, the command ends at once; silently if the reader has closed the pipe.
process.stdout.on("error", (error: NodeJS.ErrnoException) =>
  process.exit(report(error.code === "EPIPE" ? error : asFileError(error, "Cannot write the output"), false)),
);

process.exitCode = await runProgram(process.argv.slice(2));
