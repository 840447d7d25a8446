// Passes each value of every JavaScript type to each argument, and reports the result. The process must not end, and no
// call may return a different value than it was given.

import { types } from "node:util";
import { runInNewContext } from "node:vm";
import { createClient } from "holdfast/client";

const { url } = JSON.parse(process.argv[2]);
const client = createClient({ url, intMode: "bigint" });
await client.execute("CREATE TABLE t (v)");

class Point {
  x = 1;
}
class Bytes extends Uint8Array {}
const base = new Uint8Array([9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 9, 9, 9, 9, 9, 9, 9]).buffer;
const typed = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
const detachedBuffer = new ArrayBuffer(8);
const detachedView = new Uint8Array(detachedBuffer);
const detachedFloats = new Float32Array(detachedBuffer);
structuredClone(detachedBuffer, { transfer: [detachedBuffer] });
const sparse = new Array(3);
sparse[1] = 1;
const cyclic = {};
cyclic.self = cyclic;
const throwing = new Proxy(
  {},
  {
    get() {
      throw new TypeError("no");
    },
  },
);

const values = {
  null: null,
  undefined: undefined,
  true: true,
  false: false,
  zero: 0,
  "minus zero": -0,
  one: 1,
  "minus one": -1,
  half: 0.5,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
  "2^53 - 1": 2 ** 53 - 1,
  "2^53": 2 ** 53,
  "-2^53": -(2 ** 53),
  "2^53 + 2": 2 ** 53 + 2,
  "2^63": 2 ** 63,
  "2^64": 2 ** 64,
  "1e308": 1e308,
  "5e-324": 5e-324,
  "0n": 0n,
  "2n ** 53n": 2n ** 53n,
  "max int64": 2n ** 63n - 1n,
  "min int64": -(2n ** 63n),
  "2n ** 63n": 2n ** 63n,
  "min int64 - 1": -(2n ** 63n) - 1n,
  "2n ** 200n": 2n ** 200n,
  text: "text",
  "empty text": "",
  quotes: `'";--`,
  emoji: "🚀",
  combining: "e\u0301",
  "U+FFFF": "\uffff",
  "U+FEFF": "\ufefftext",
  NUL: "\0",
  "NUL within": "a\0b",
  "high surrogate": "a\ud83d",
  "low surrogate": "\ude80a",
  "swapped pair": "\ude80\ud83d",
  "a megabyte": "x".repeat(2 ** 20),
  "a megabyte of €": "€".repeat(2 ** 20),
  symbol: Symbol("s"),
  "well-known symbol": Symbol.iterator,
  function: () => 1,
  class: Point,
  "async function": async () => 1,
  generator: (function* () {
    yield 1;
  })(),
  promise: Promise.resolve(1),
  object: {},
  "object with keys": { a: 1 },
  "null prototype": Object.create(null),
  instance: new Point(),
  cyclic,
  throwing,
  "boxed number": new Number(1),
  "boxed text": new String("a"),
  "boxed boolean": new Boolean(true),
  "boxed bigint": Object(1n),
  array: [1],
  "empty array": [],
  "nested array": [[1, [2]]],
  sparse,
  arguments: (function () {
    // biome-ignore lint/complexity/noArguments: an arguments object is one of the values
    return arguments;
  })(1),
  map: new Map([["a", 1]]),
  set: new Set([1]),
  weakmap: new WeakMap(),
  regexp: /a/,
  error: new Error("e"),
  url: new URL("file:///a"),
  date: new Date(1672662896000),
  "early date": new Date(-1),
  "invalid date": new Date(Number.NaN),
  "last date": new Date(8.64e15),
  "fake date": Object.create(Date.prototype),
  "proxied date": new Proxy(new Date(0), {}),
  "date of another realm": runInNewContext("new Date(5)"),
  "bytes of another realm": runInNewContext("new Uint8Array([1, 2])"),
  "buffer of another realm": runInNewContext("new Uint8Array([1, 2]).buffer"),
  buffer: base,
  "empty buffer": new ArrayBuffer(0),
  Buffer: Buffer.from("abc"),
  "pooled Buffer": Buffer.from("pooled").subarray(1, 3),
  "growable buffer": new ArrayBuffer(4, { maxByteLength: 16 }),
  "shared buffer": new SharedArrayBuffer(4),
  "view of a shared buffer": new Uint8Array(new SharedArrayBuffer(4)),
  "floats of a shared buffer": new Float32Array(new SharedArrayBuffer(8), 4, 1),
  "subclass of bytes": new Bytes([1, 2, 3]),
  "fake bytes": Object.create(Uint8Array.prototype),
  "proxied bytes": new Proxy(new Uint8Array(3), {}),
  "proxied buffer": new Proxy(new ArrayBuffer(3), {}),
  "proxied array": new Proxy([1], {}),
  "detached buffer": detachedBuffer,
  "detached view": detachedView,
  "detached floats": detachedFloats,
  "a view of nothing": new Uint8Array(base, 24),
  DataView: new DataView(base, 1, 16),
  "a gigabyte and more": "LAZY bytes",
  "600 MB of text": "LAZY text",
  ...Object.fromEntries(typed.map((Type) => [Type.name, new Type(base)])),
  ...Object.fromEntries(
    typed.map((Type) => [`${Type.name} with an offset`, new Type(base, 8, 8 / Type.BYTES_PER_ELEMENT)]),
  ),
};

/** The value that must be returned, if one is returned. */
function expected(value) {
  if (value === null) return null;
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === "string" || typeof value === "bigint") return value;
  if (types.isDate(value)) return BigInt(Date.prototype.getTime.call(value));
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (types.isArrayBuffer(value)) return new Uint8Array(value);
  throw new Error("nothing that could come back");
}

function isSame(value, back) {
  const wanted = expected(value);
  if (!(wanted instanceof Uint8Array)) return Object.is(wanted, back);
  return back instanceof ArrayBuffer && Buffer.compare(Buffer.from(wanted), Buffer.from(back)) === 0;
}

const only = async (promise) => (await promise).rows[0][0];
const inTransaction = async (mode, use) => {
  const tx = await client.transaction(mode);
  try {
    return await use(tx);
  } finally {
    tx.close();
  }
};
const insert = "INSERT INTO t VALUES (?) RETURNING v";
const places = {
  positional: (v) => only(client.execute("SELECT ?", [v])),
  object: (v) => only(client.execute({ sql: "SELECT ?", args: [v] })),
  numbered: (v) => only(client.execute("SELECT ?2, ?1", ["first", v])),
  named: (v) => only(client.execute("SELECT :v", { v })),
  "named with sigil": (v) => only(client.execute("SELECT @v", { "@v": v })),
  written: (v) => only(client.execute(insert, [v])),
  "batch object": async (v) => (await client.batch([{ sql: "SELECT ?", args: [v] }], "read"))[0].rows[0][0],
  "batch tuple": async (v) => (await client.batch([["SELECT 1"], [insert, [v]]], "write"))[1].rows[0][0],
  migrate: async (v) => (await client.migrate([{ sql: insert, args: [v] }]))[0].rows[0][0],
  "write transaction": (v) => inTransaction("write", (tx) => only(tx.execute({ sql: insert, args: [v] }))),
  "read transaction": (v) => inTransaction("read", (tx) => only(tx.execute("SELECT ?", [v]))),
  "transaction batch": (v) => inTransaction("deferred", async (tx) => (await tx.batch([[insert, [v]]]))[0].rows[0][0]),
};
// Values that are not a list or record, where one is expected.
const containers = {
  args: (v) => client.execute("SELECT ?", v),
  "args without parameters": (v) => client.execute("SELECT 1", v),
  "named args": (v) => client.execute("SELECT :a", v),
  sql: (v) => client.execute(v),
  "sql in an object": (v) => client.execute({ sql: v, args: [] }),
  "args in an object": (v) => client.execute({ sql: "SELECT ?", args: v }),
  batch: (v) => client.batch(v),
  "batch item": (v) => client.batch([v]),
  "batch mode": (v) => client.batch(["SELECT 1"], v),
  migrate: (v) => client.migrate([v]),
  mode: async (v) => (await client.transaction(v)).close(),
  script: (v) => client.executeMultiple(v),
  "transaction sql": (v) => inTransaction("write", (tx) => tx.execute(v)),
  "transaction batch": (v) => inTransaction("write", (tx) => tx.batch([v])),
  "transaction script": (v) => inTransaction("write", (tx) => tx.executeMultiple(v)),
  savepoint: (v) => inTransaction("write", (tx) => tx.rollbackTo(v)),
  role: async (v) => (await client.pool.acquire({ role: v })).release(),
};

const counts = { same: 0, refused: 0, container: 0 };
const wrong = [];
const note = (place, name, what) => wrong.push(`${place}, ${name}: ${what}`);
for (const [name, given] of Object.entries(values)) {
  const isHuge = given === "LAZY bytes" || given === "LAZY text";
  const value =
    given === "LAZY bytes" ? new Uint8Array(1_000_000_001) : given === "LAZY text" ? "€".repeat(2e8) : given;
  for (const [place, use] of Object.entries(places)) {
    if (isHuge && place !== "positional" && place !== "written") continue;
    try {
      const back = await use(value);
      if (isSame(value, back)) counts.same++;
      else note(place, name, `came back as ${typeof back} ${String(back).slice(0, 50)}`);
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) counts.refused++;
      else note(place, name, `${error.name}: ${error.message}`);
    }
  }
  if (isHuge || String(name).includes("megabyte")) continue;
  for (const [place, use] of Object.entries(containers)) {
    try {
      await use(value);
      counts.container++;
    } catch (error) {
      // Any error is accepted, also of SQL that makes no sense: the call must only reject with an error.
      if (error instanceof Error) counts.container++;
      else note(place, name, "threw what is no error");
    }
  }
  const alive = await only(client.execute("SELECT ?", ["alive"]));
  if (alive !== "alive") note("afterwards", name, "the client does not work");
}
await client.execute("DELETE FROM t");
console.log(JSON.stringify({ counts, wrong, active: client.stats().pool.active }));
await client.close();
