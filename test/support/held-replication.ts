import { connect, createServer, type Socket } from "node:net";
import { freePort } from "./server.js";

/** Stands between a read replica and the gRPC port of its primary, and can keep the primary's changes from it. */
export interface HeldReplication extends AsyncDisposable {
  /** For the replica's `primaryGrpcUrl`. */
  readonly url: string;
  /** From now on the replica gets no page of the database; its forwarded writes go on. */
  hold(): void;
  /** Passes on what was held. */
  release(): void;
}

/** A message of replication holds a page of 4096 bytes; the answers to forwarded statements are smaller. */
const PAGE_BYTES = 4096;
const HEADER_BYTES = 9;
const DATA = 0;

/**
 * Both kinds of messages come over one HTTP/2 connection, each call as a stream of its own. While it holds, a stream that
 * brings a page stops there, and the other streams go on.
 */
export async function holdReplication(grpcUrl: string): Promise<HeldReplication> {
  let isHolding = false;
  const sockets = new Set<Socket>();
  const releases = new Set<() => void>();
  const server = createServer((replica) => {
    const primary = connect(Number(new URL(grpcUrl).port), "127.0.0.1");
    for (const [own, other] of [
      [replica, primary],
      [primary, replica],
    ] as const) {
      sockets.add(own);
      own.on("error", () => other.destroy());
      own.on("close", () => {
        sockets.delete(own);
        other.destroy();
      });
    }
    replica.on("data", (chunk) => primary.write(chunk));
    let rest = Buffer.alloc(0);
    const held = new Map<number, Buffer[]>();
    primary.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= HEADER_BYTES) {
        const length = rest.readUIntBE(0, 3);
        if (rest.length < HEADER_BYTES + length) break;
        const frame = rest.subarray(0, HEADER_BYTES + length);
        rest = rest.subarray(HEADER_BYTES + length);
        const stream = frame.readUInt32BE(5) & 0x7fff_ffff;
        if (isHolding && frame[3] === DATA && length >= PAGE_BYTES && !held.has(stream)) held.set(stream, []);
        const frames = held.get(stream);
        if (frames === undefined) replica.write(frame);
        else frames.push(Buffer.from(frame));
      }
    });
    releases.add(() => {
      for (const frames of held.values()) for (const frame of frames) replica.write(frame);
      held.clear();
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    hold() {
      isHolding = true;
    },
    release() {
      isHolding = false;
      for (const release of releases) release();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
