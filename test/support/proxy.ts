import { connect, createServer, type Socket } from "node:net";

/** What happens to the bytes that come through. */
export interface ProxyBehaviour {
  /** Requests and answers go nowhere, and the connections stay open. */
  readonly isSilent?: boolean;
  /** Answers are cut off: the server has seen the request, the client sees its connection end. */
  readonly cutsAnswers?: boolean;
  /** Connections are closed as soon as they are made. */
  readonly refuses?: boolean;
  /** Each answer comes so much later. */
  readonly delayMs?: number;
  /** Asked at each request, with its path: what happens to its answer. */
  readonly fault?: (path: string) => AnswerFault | undefined;
}

/** What happens to one answer. */
export interface AnswerFault {
  /** It comes so much later, in order with what follows on its connection. */
  readonly delayMs?: number;
  /** The connection ends after so many bytes of it. */
  readonly cutAfterBytes?: number;
  /** It trickles, at this rate. */
  readonly bytesPerSecond?: number;
  /** It never comes, and the connection stays open. */
  readonly isSilent?: boolean;
  /** Called when the first bytes of it were passed on, or found no client. */
  readonly onSent?: () => void;
}

/** A TCP proxy between a client and a server, in the test's own process. */
export interface TestProxy extends AsyncDisposable {
  readonly url: string;
  /** HTTP requests that have come so far. */
  readonly requests: number;
  behave(behaviour: ProxyBehaviour): void;
  /** Ends all connections that are open. */
  dropAll(): void;
  /** Resolves when the next request has come. */
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
      // A request of the client begins a chunk: it waits for the answer before it sends another.
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

/** Passes on the chunks of one answer, as its fault says. */
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
