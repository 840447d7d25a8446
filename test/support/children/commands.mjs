// Runs commands of the built `holdfast` one after the other in this process, and reports the exit code and output of
// each.
import { runProgram } from "../../../dist/cli/program.js";

const say = process.stdout.write.bind(process.stdout);
let output = "";
const keep = (chunk, encoding, done) => {
  output += chunk;
  (typeof encoding === "function" ? encoding : done)?.();
  return true;
};
process.stdout.write = keep;
process.stderr.write = keep;
const answers = [];
for (const args of JSON.parse(process.argv[2]).commands) {
  output = "";
  const code = await runProgram(args);
  answers.push({ command: args[0], code, output });
}
say(`${JSON.stringify({ answers })}\n`);
