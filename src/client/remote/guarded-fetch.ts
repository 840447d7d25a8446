import { LibsqlError } from "@libsql/client/sqlite3";

interface GuardedFetchOptions {
  readonly fetch: typeof fetch;
  /** Where requests may go, and the token with them. */
  readonly origin: string;
  /** Most bytes of an answer, once it is decompressed. */
  readonly maxBytes: number;
}

/** An answer that is larger than the client takes. The server has done its work by then. */
export class OversizedAnswerError extends LibsqlError {
  readonly maxBytes: number;

  constructor(maxBytes: number, advice = "Ask for less at a time, or raise the limit") {
    super(
      `The server's answer has more than ${maxBytes} bytes (\`maxResponseBytes\`), and the rest of it was not read. ${advice}`,
      "RESPONSE_TOO_LARGE",
    );
    this.maxBytes = maxBytes;
  }
}

/**
 * A `fetch` for one server, which a hostile or misconfigured server cannot turn against its client.
 *
 * Requests go to the server's own origin: neither the `base_url` of an answer nor a redirect takes the token and the
 * data elsewhere, or from TLS to plain text. An answer is given up as soon as more than `maxBytes` of it have arrived.
 */
export function guardedFetch({ fetch, origin, maxBytes }: GuardedFetchOptions) {
  return async (request: Request, init: RequestInit): Promise<Response> => {
    if (new URL(request.url).origin !== origin) throw wrongOrigin("asks to go on", request.url, origin);
    const answer = await fetch(new Request(request, { redirect: "manual" }), init);
    const target = answer.headers.get("location");
    if (answer.type === "opaqueredirect" || (answer.status >= 300 && answer.status < 400 && target !== null)) {
      await answer.body?.cancel();
      throw wrongOrigin("redirects", target === null ? "" : new URL(target, request.url).href, origin);
    }
    return bounded(answer, maxBytes);
  };
}

/** The origin that a URL of a server means, as @libsql/client reads it. */
export function originOf(url: string, tls: boolean | undefined): string {
  const scheme = /[?&]tls=0(&|$)/.test(url) || tls === false ? "http:" : "https:";
  return new URL(url.replace(/^libsql:/i, scheme)).origin;
}

async function bounded(answer: Response, maxBytes: number): Promise<Response> {
  if (answer.body === null || maxBytes === Number.POSITIVE_INFINITY) return answer;
  const length = Number(answer.headers.get("content-length") ?? Number.NaN);
  const isPlain = !answer.headers.has("content-encoding");
  if (length > maxBytes) {
    await answer.body.cancel();
    throw new OversizedAnswerError(maxBytes);
  }
  if (isPlain && length >= 0) return answer;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    // Leaving the loop ends the stream, and the connection with it.
    if (size > maxBytes) throw new OversizedAnswerError(maxBytes);
    chunks.push(chunk);
  }
  const { status, statusText } = answer;
  const type = answer.headers.get("content-type");
  return new Response(Buffer.concat(chunks), {
    status,
    statusText,
    headers: type === null ? {} : { "content-type": type },
  });
}

function wrongOrigin(what: string, url: string, origin: string): LibsqlError {
  const elsewhere = url === "" ? "another address" : originText(url);
  return new LibsqlError(
    `The server ${what} at ${elsewhere}, and the token goes to ${origin} only: open that address if you trust it`,
    "NOT_SUPPORTED",
  );
}

/** Without path and query, which may hold secrets. */
function originText(url: string): string {
  try {
    return new URL(url).origin;
  } catch {
    return "an address that is not a URL";
  }
}
