import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { cpSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { tempDatabase } from "./temp.js";

/** A libSQL server for one test, on the loopback interface. */
export interface TestServer extends AsyncDisposable {
  /** The URL for clients. */
  readonly url: string;
  /** The URL of a primary for its read replicas. */
  readonly grpcUrl: string;
  /** The URL of a read replica for its operator. */
  readonly adminUrl: string;
  readonly port: number;
  /** The folder of its data. */
  readonly data: string;
  readonly pid: number;
  /** Ends it like `kill -9`. Resolves when it has ended. */
  kill(): Promise<void>;
  /** Starts it again with the same data and ports. */
  restart(): Promise<void>;
  /** Its log since the last start. */
  log(): string;
}

export interface ServerOptions {
  /** The `grpcUrl` of a primary. It makes this server a read replica, which forwards writes. */
  readonly primaryGrpcUrl?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A folder with the initial data: that of a server that has ended. */
  readonly template?: string | undefined;
}

// Install scripts are disabled, so the binary comes from its platform's package, without the link to it.
const packages = createRequire(import.meta.url);
const binaryPackage = `@sqld/${process.platform}-${process.arch}`;
const BINARY = join(dirname(packages.resolve(`${binaryPackage}/package.json`)), "sqld");

const PORT_RANGES = 4;
const PORTS_EACH = 5_500;

// The server ends with the test process, however that ends: if the test process is killed, the shell's input closes,
// and the shell then kills the server by its process id.
const GUARD = `
"$@" 2>&1 & server=$!
echo "pid $server"
exec 3<&0
{ read -r _ <&3; kill -9 $server 2>/dev/null; } & guard=$!
wait $server
kill $guard 2>/dev/null
`;

/** Starts a server, with an empty database unless a template is given. `await using` kills it and removes its data. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const folder = await tempDatabase();
  const port = await freePort();
  const secondPort = await freePort(port);
  const isPrimary = options.primaryGrpcUrl === undefined;
  const role = isPrimary
    ? ["--grpc-listen-addr", `127.0.0.1:${secondPort}`]
    : ["--primary-grpc-url", options.primaryGrpcUrl, "--admin-listen-addr", `127.0.0.1:${secondPort}`];
  const ports = [port, secondPort];
  const data = join(folder.dir, "data");
  if (options.template !== undefined) cpSync(options.template, data, { recursive: true });
  const args = [
    ...["--db-path", data, "--http-listen-addr", `127.0.0.1:${port}`, "--no-welcome"],
    ...role,
    ...(options.args ?? []),
  ];
  let running = await launch(args, ports, options.env);
  return {
    url: `http://127.0.0.1:${port}`,
    grpcUrl: `http://127.0.0.1:${secondPort}`,
    adminUrl: `http://127.0.0.1:${secondPort}`,
    port,
    data,
    get pid() {
      return running.pid;
    },
    log: () => running.log(),
    async kill() {
      running.kill();
      await running.exited;
    },
    async restart() {
      await running.exited;
      running = await launch(args, ports, options.env);
    },
    async [Symbol.asyncDispose]() {
      running.kill();
      await running.exited;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/**
 * Resolves when a read replica answers reads itself. Until it has fetched what the primary had when the replica started,
 * it sends them on to the primary, so that an answer alone does not show that it has any data.
 */
export async function caughtUp(replica: TestServer): Promise<void> {
  const requests = [{ type: "execute", stmt: { sql: "SELECT 1" } }, { type: "close" }];
  for (let before: number | undefined; ; ) {
    await fetch(`${replica.url}/v2/pipeline`, { method: "POST", body: JSON.stringify({ requests }) });
    const answer = await fetch(`${replica.adminUrl}/v1/namespaces/default/stats`);
    const { write_requests_delegated: sentOn } = (await answer.json()) as { write_requests_delegated: number };
    if (sentOn === before) return;
    before = sentOn;
  }
}

interface Running {
  readonly pid: number;
  readonly exited: Promise<void>;
  kill(): void;
  log(): string;
}

async function launch(
  args: readonly string[],
  ports: readonly number[],
  env: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const shell = spawn("/bin/sh", ["-c", GUARD, "sh", BINARY, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, RUST_LOG: "info", NO_COLOR: "1", ...env },
  });
  shell.stdin.on("error", () => undefined);
  let hasEnded = false;
  const exited = new Promise<void>((resolve) =>
    shell.once("close", () => {
      hasEnded = true;
      resolve();
    }),
  );
  let log = "";
  const pid = await new Promise<number>((resolve, reject) => {
    let found: number | undefined;
    let isListening = false;
    createInterface({ input: shell.stdout }).on("line", async (line) => {
      log += `${line}\n`;
      // On a busy machine the server may log before the shell that has started it.
      if (line.startsWith("pid ")) found = Number(line.slice(4));
      else if (line.includes("listening for incoming user HTTP connection")) isListening = true;
      else return;
      if (found === undefined || !isListening) return;
      for (const port of ports) await accepts(port, () => hasEnded);
      resolve(found);
    });
    exited.then(() => reject(new Error(`The server ended before it listened: ${log}`)));
  });
  return { pid, exited, log: () => log, kill: () => killOnce(shell, pid, () => hasEnded) };
}

function killOnce(shell: ChildProcess, pid: number, hasEnded: () => boolean): void {
  // The shell waits for the server, so as long as the shell runs, the process id belongs to the server.
  if (!hasEnded()) process.kill(pid, "SIGKILL");
  shell.stdin?.destroy();
}

/** Resolves when a connection is accepted, or the server has ended. The server logs that it listens before it does. */
function accepts(port: number, hasEnded: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const attempt = () => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve();
      });
      socket.once("error", () => (hasEnded() ? resolve() : setImmediate(attempt)));
    };
    attempt();
  });
}

/**
 * A free port, below the range of outgoing connections. Each process of the test runner has a separate range, so that
 * none takes a port that another has just found free. It differs from `except`.
 */
export async function freePort(except?: number): Promise<number> {
  const worker = Number(process.env.VITEST_POOL_ID ?? 0) % PORT_RANGES;
  for (;;) {
    const port = 10_000 + worker * PORTS_EACH + randomInt(PORTS_EACH);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree && port !== except) return port;
  }
}
