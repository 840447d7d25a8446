// Runs the query `sql` of a client with `options`, and reports its rows as React's serializer for server components
// writes them. Needs the condition react-server.
import { Writable } from "node:stream";
import { createClient } from "holdfast/client";
import { renderToPipeableStream } from "react-server-dom-parcel/server";

const { sql, options } = JSON.parse(process.argv[2]);
const client = createClient({ url: ":memory:", ...options });
const { rows } = await client.execute(sql);
let text = "";
const errors = [];
const sink = new Writable({
  write(chunk, _encoding, done) {
    text += chunk;
    done();
  },
  final(done) {
    process.stdout.write(`${JSON.stringify({ text, errors })}\n`);
    done();
  },
});
renderToPipeableStream(rows, undefined, { onError: (error) => errors.push(String(error)) }).pipe(sink);
await client.close();
