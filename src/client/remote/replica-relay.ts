import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { LibsqlError } from "@libsql/client/sqlite3";
import { MAX_TIMER_MS, type Timer, unrefTimer } from "../../shared/timers.js";
import { type CallContext, timedOut, toRemoteError } from "./remote-error.js";

interface ReplicaRelayOptions {
  /** The primary, by http: or https:. */
  readonly url: string;
  readonly authToken: string | undefined;
  /** Longest silence of the primary, in ms. */
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
  readonly redact: (text: string) => string;
}

/** Of one connection; they mean nothing on the other. */
const HOP_BY_HOP = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Stands between the replication, which runs in the native library, and the primary.
 *
 * The library has no time limit and cannot be interrupted: on a connection that has gone silent, a fetch would never
 * end. So its requests go over the loopback to here, where a silent or refused one is answered in time, by the same
 * `fetch` and with the same trust in certificates as other calls. The library gets a separate token, which opens
 * nothing but this relay.
 */
export class ReplicaRelay {
  readonly token: string = randomUUID();
  readonly #options: ReplicaRelayOptions;
  readonly #namespace: string;
  readonly #requests = new Set<AbortController>();
  #server: Server | undefined;
  #isClosed = false;
  #failure: Error | undefined;

  constructor(options: ReplicaRelayOptions) {
    this.#options = options;
    this.#namespace = namespaceOf(options.url);
  }

  /** A fetch from the primary, for its errors. */
  get call() {
    return { isWrite: false, isRead: true, server: new URL(this.#options.url).origin };
  }

  /** Where the library finds it. */
  async listen(): Promise<string> {
    this.#server ??= await this.#start();
    const { port } = this.#server.address() as { port: number };
    return `http://127.0.0.1:${port}`;
  }

  /** What has gone wrong with the primary since this was last asked. */
  takeFailure(): Error | undefined {
    const failure = this.#failure;
    this.#failure = undefined;
    return failure;
  }

  /** Ends what runs; the library then gets refusals only. */
  interrupt(): void {
    this.#isClosed = true;
    for (const request of this.#requests) request.abort();
  }

  close(): void {
    this.interrupt();
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  async #start(): Promise<Server> {
    const server = createServer((incoming, outgoing) => {
      this.#relay(incoming, outgoing).catch(() => outgoing.destroy());
    });
    // The library keeps its connections for as long as it likes; none of them keeps the process alive.
    server.keepAliveTimeout = 0;
    server.requestTimeout = 0;
    server.on("connection", (socket) => socket.unref());
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    server.unref();
    return server;
  }

  async #relay(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (!this.#isOurs(incoming)) {
      outgoing.writeHead(403).end();
      return;
    }
    const body = await readAll(incoming);
    const request = new AbortController();
    const silence = new SilenceTimer(this.#options.timeoutMs, () =>
      request.abort(timedOut(this.#options.timeoutMs, this.call)),
    );
    this.#requests.add(request);
    outgoing.once("close", () => request.abort());
    try {
      if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
      const answer = await this.#send(incoming, body, request.signal);
      outgoing.writeHead(answer.status, keptHeaders(answer.headers));
      for await (const chunk of answer.body ?? []) {
        silence.restart();
        if (outgoing.write(chunk)) continue;
        // The library is writing what it has.
        silence.stop();
        await drained(outgoing, request.signal);
        silence.restart();
      }
      outgoing.end();
    } catch (error) {
      this.#refuse(outgoing, request.signal.aborted ? (request.signal.reason ?? error) : error);
    } finally {
      silence.stop();
      this.#requests.delete(request);
    }
  }

  async #send(incoming: IncomingMessage, body: Buffer, signal: AbortSignal): Promise<Response> {
    const { url, authToken } = this.#options;
    const headers = new Headers();
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (value !== undefined && !HOP_BY_HOP.has(name)) headers.set(name, String(value));
    }
    for (const name of ["authorization", "x-authorization"]) {
      if (!headers.has(name)) continue;
      if (authToken === undefined) headers.delete(name);
      else headers.set(name, `Bearer ${authToken}`);
    }
    if (headers.has("x-namespace-bin")) headers.set("x-namespace-bin", this.#namespace);
    headers.set("accept-encoding", "identity");
    const { method = "GET", url: path = "/" } = incoming;
    const content = method === "GET" ? {} : { body };
    const request = new Request(url.replace(/\/$/, "") + path, { method, headers, redirect: "manual", ...content });
    const answer = await this.#options.fetch(request, { signal });
    // Of a probe the status is the answer.
    if (method === "GET" && answer.status !== 401 && answer.status < 500) return answer;
    const verdict = refusalOf(answer);
    if (verdict === undefined) return answer;
    await answer.body?.cancel();
    throw verdict;
  }

  #isOurs({ headers }: IncomingMessage): boolean {
    const given = headers["x-authorization"] ?? headers.authorization;
    return given === `Bearer ${this.token}`;
  }

  /** The library tries three times, a second apart, unless it is told that the namespace does not exist. */
  #refuse(outgoing: ServerResponse, error: unknown): void {
    const context: CallContext = { ...this.call, redact: this.#options.redact };
    if (!this.#isClosed) this.#failure ??= toRemoteError(error, context) as Error;
    const isCall = String(outgoing.req.headers["content-type"]).startsWith("application/grpc");
    if (!isCall || outgoing.headersSent) {
      outgoing.destroy();
      return;
    }
    const status = { "grpc-status": "9", "grpc-message": "NAMESPACE_DOESNT_EXIST" };
    outgoing.writeHead(200, { "content-type": "application/grpc-web+proto", ...status }).end();
  }
}

/** An answer that is none of the replication's. */
function refusalOf(answer: Response): Error | undefined {
  const grpc = answer.headers.get("grpc-status");
  if (answer.status === 401 || answer.status === 403 || grpc === "16" || grpc === "7") {
    const what = grpc === null ? `HTTP ${answer.status}` : `gRPC status ${grpc}`;
    return new LibsqlError(`The server refuses the token (${what}): check \`authToken\``, "AUTH_FAILED");
  }
  if (answer.status === 200) return undefined;
  return new LibsqlError(`The server answered with HTTP ${answer.status}`, "HRANA_PROTO_ERROR");
}

/** As the library takes it from the host's name, which here is that of the loopback. */
function namespaceOf(url: string): string {
  const [first, ...others] = new URL(url).hostname.split(".");
  const name = others.length > 0 && first !== "" ? (first as string) : "default";
  return Buffer.from(name).toString("base64").replace(/=+$/, "");
}

function keptHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => !HOP_BY_HOP.has(name)));
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Resolves when more can be written; rejects when the reader has gone. */
function drained(outgoing: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      outgoing.off("drain", succeed);
      reject(signal.reason as Error);
    };
    const succeed = () => {
      signal.removeEventListener("abort", end);
      resolve();
    };
    outgoing.once("drain", succeed);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}

class SilenceTimer {
  readonly #timeoutMs: number;
  readonly #onSilence: () => void;
  #timer: Timer | undefined;

  constructor(timeoutMs: number, onSilence: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#onSilence = onSilence;
    this.restart();
  }

  restart(): void {
    clearTimeout(this.#timer);
    if (this.#timeoutMs > MAX_TIMER_MS) return;
    this.#timer = unrefTimer(setTimeout(this.#onSilence, this.#timeoutMs));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
