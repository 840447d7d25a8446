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
    client.on("data", (chunk) => {
      // A request of the client begins a chunk: it waits for the answer before it sends another.
      if (/^(POST|GET) /.test(chunk.subarray(0, 5).toString("latin1"))) {
        requests++;
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
      else client.write(chunk);
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
