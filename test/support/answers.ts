import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface FrontServer extends AsyncDisposable {
  readonly url: string;
  /** The requests received, each with its token. */
  readonly requests: readonly { readonly path: string; readonly token: string | undefined }[];
}

/** The answer of the real server, which a test may change. `end` takes the whole answer. */
export type AnswerChange = (text: string, outgoing: ServerResponse, incoming: IncomingMessage) => void;

/**
 * An HTTP server of the test in front of a real one. It speaks the JSON form of the protocol, and passes each answer to
 * `change`, which ends the response.
 */
export async function startFront(target: string, change: AnswerChange): Promise<FrontServer> {
  const requests: { path: string; token: string | undefined }[] = [];
  const server: Server = createServer(async (incoming, outgoing) => {
    const { url: path = "/", method = "GET", headers } = incoming;
    requests.push({ path, token: headers.authorization });
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    if (path.startsWith("/v3")) {
      outgoing.writeHead(404).end();
      return;
    }
    try {
      const body = method === "GET" ? {} : { body: Buffer.concat(chunks) };
      const answer = await fetch(target + path, { method, headers: { "content-type": "application/json" }, ...body });
      outgoing.statusCode = answer.status;
      outgoing.setHeader("content-type", answer.headers.get("content-type") ?? "text/plain");
      change(await answer.text(), outgoing, incoming);
    } catch {
      outgoing.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
