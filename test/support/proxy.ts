import { connect, createServer, type Socket } from "node:net";

/** How the proxy treats the bytes. */
interface ProxyBehaviour {
  /** Drops requests and answers, but keeps the connections open. */
  readonly isSilent?: boolean;
  /** Cuts off answers: the server has received the request, and the client sees its connection end. */
  readonly cutsAnswers?: boolean;
  /** Closes connections as soon as they open. */
  readonly refuses?: boolean;
  /** Delays each answer by this time. */
  readonly delayMs?: number;
  /** Called for each request with its path. Decides how its answer is treated. */
  readonly fault?: (path: string) => AnswerFault | undefined;
}

/** How the proxy treats one answer. */
export interface AnswerFault {
  /** Delays it by this time, in order with later answers on its connection. */
  readonly delayMs?: number;
  /** Ends the connection after this many bytes of it. */
  readonly cutAfterBytes?: number;
  /** Sends it slowly, at this rate. */
  readonly bytesPerSecond?: number;
  /** Never sends it, and keeps the connection open. */
  readonly isSilent?: boolean;
  /** Called when its first bytes were passed on, or the client was gone. */
  readonly onSent?: () => void;
}

/** A TCP proxy between a client and a server, in the process of the test. */
export interface TestProxy extends AsyncDisposable {
  readonly url: string;
  /** The number of HTTP requests so far. */
  readonly requests: number;
  behave(behaviour: ProxyBehaviour): void;
  /** Ends all open connections. */
  dropAll(): void;
  /** Resolves when the next request arrives. */
  nextRequest(): Promise<void>;
}

export async function startProxy(targetPort: number): Promise<TestProxy> {
  let behaviour: ProxyBehaviour = {};
  let requests = 0;
  let listeners: (() => void)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (behaviour.refuses === true) {
      client.destroy();
      return;
    }
    const target = connect(targetPort, "127.0.0.1");
    for (const [own, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(own);
      own.on("error", () => other.destroy());
      own.on("close", () => {
        sockets.delete(own);
        other.destroy();
      });
    }
    let answer = answerThrough(client, undefined);
    client.on("data", (chunk) => {
      // A client's request begins a chunk, because the client waits for the answer before it sends another.
      const path = /^(?:POST|GET) (\S+) /.exec(chunk.subarray(0, 500).toString("latin1"))?.[1];
      if (path !== undefined) {
        requests++;
        answer = answerThrough(client, behaviour.fault?.(path));
        const told = listeners;
        listeners = [];
        for (const tell of told) tell();
      }
      if (behaviour.isSilent !== true) target.write(chunk);
    });
    target.on("data", (chunk) => {
      if (behaviour.isSilent === true) return;
      if (behaviour.cutsAnswers === true) {
        client.destroy();
        return;
      }
      const { delayMs = 0 } = behaviour;
      if (delayMs > 0) setTimeout(() => client.destroyed || client.write(chunk), delayMs);
      else answer(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const dropAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    get requests() {
      return requests;
    },
    behave(next) {
      behaviour = next;
    },
    dropAll,
    nextRequest: () => new Promise<void>((resolve) => listeners.push(resolve)),
    async [Symbol.asyncDispose]() {
      dropAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Passes on the chunks of one answer, with its fault. */
function answerThrough(client: Socket, fault: AnswerFault | undefined): (chunk: Buffer) => void {
  if (fault === undefined) return (chunk) => client.write(chunk);
  const { delayMs = 0, cutAfterBytes = Number.POSITIVE_INFINITY, bytesPerSecond, isSilent = false } = fault;
  let left = cutAfterBytes;
  let queue: Promise<unknown> = new Promise((resolve) => setTimeout(resolve, delayMs));
  const write = (bytes: Buffer) => {
    if (client.destroyed) return;
    if (bytes.length < left) client.write(bytes);
    else client.end(bytes.subarray(0, left));
    left -= bytes.length;
  };
  const { onSent } = fault;
  return (chunk) => {
    if (isSilent || left <= 0) return;
    queue = queue.then(async () => {
      onSent?.();
      const step = bytesPerSecond === undefined ? chunk.length : Math.max(1, Math.ceil(bytesPerSecond / 20));
      for (let at = 0; at < chunk.length && !client.destroyed && left > 0; at += step) {
        write(chunk.subarray(at, at + step));
        if (bytesPerSecond !== undefined) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
  };
}
