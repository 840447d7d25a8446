// Starts a server, reports its process id, and waits to be killed.
import { startServer } from "../server.js";

const { pid } = await startServer();
process.stdout.write(`${pid}\n`);
