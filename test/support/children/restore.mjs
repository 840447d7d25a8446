// Restores `backup` to `target`.
import { restore } from "holdfast";

const { backup, target } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ event: "begun" });
say({ event: "done", ...(await restore(backup, target)) });
