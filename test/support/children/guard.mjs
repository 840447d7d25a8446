// Ends the process when the test that started it has ended in any way: then the pipe on descriptor 3 closes.
import { Socket } from "node:net";
import { isMainThread } from "node:worker_threads";

if (isMainThread && process.env.HOLDFAST_TEST_GUARD === String(process.ppid)) {
  const parent = new Socket({ fd: 3, readable: true, writable: false });
  const end = () => process.kill(process.pid, "SIGKILL");
  parent.once("error", end);
  parent.once("close", end);
  parent.resume();
  parent.unref();
}
