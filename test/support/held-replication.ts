import { connect, createServer, type Socket } from "node:net";
import { freePort } from "./server.js";

/** A proxy between a read replica and the gRPC port of its primary, which can hold back the primary's changes. */
export interface HeldReplication extends AsyncDisposable {
  /** The value for the replica's `primaryGrpcUrl`. */
  readonly url: string;
  /** From now on the replica gets no page of the database. Its forwarded writes still work. */
  hold(): void;
  /** Passes on the held messages. */
  release(): void;
}

/** A replication message contains a page of 4096 bytes. The answers to forwarded statements are smaller. */
const PAGE_BYTES = 4096;
const HEADER_BYTES = 9;
const DATA = 0;

/**
 * Both kinds of messages use one HTTP/2 connection, with a stream for each call. While the proxy holds, a stream that
 * carries a page stops, and the other streams continue.
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
