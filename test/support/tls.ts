import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { tempDatabase } from "./temp.js";

/** A reverse proxy that uses TLS with a self-signed certificate. */
export interface TlsProxy extends AsyncDisposable {
  readonly port: number;
  /** The certificate, for clients that should trust it. */
  readonly certificate: string;
  /** The number of requests so far. */
  readonly requests: number;
}

/** Whether certificates can be created on this machine. */
export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

/** Starts a proxy for a server on `targetPort`, for clients that connect to `localhost`. */
export async function startTlsProxy(targetPort: number): Promise<TlsProxy> {
  const folder = await tempDatabase();
  const [key, certificate] = [join(folder.dir, "key.pem"), join(folder.dir, "certificate.pem")];
  const subject = [
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const made = spawnSync("openssl", ["req", ...kind, "-keyout", key, "-out", certificate, ...subject]);
  if (made.status !== 0) throw new Error(`openssl created no certificate: ${made.stderr}`);
  let requests = 0;
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (incoming, outgoing) => {
    requests++;
    const { method = "GET", url: path = "/", headers } = incoming;
    const onward = request({ host: "127.0.0.1", port: targetPort, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return {
    port: (server.address() as { port: number }).port,
    certificate,
    get requests() {
      return requests;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await folder[Symbol.asyncDispose]();
    },
  };
}
