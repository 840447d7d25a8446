import { createHash } from "node:crypto";
import { link, mkdir, open, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StorageError } from "../../shared/errors.js";
import { asFileError, hasErrno } from "../file-error.js";
import { hasEnded, isOfThisHost } from "../process-identity.js";
import { isLeftover, type LockRecord, thisProcess } from "./lock-owner.js";

/**
 * How long a file without a record is respected, in ms. Ours appear whole: such a file is another program's in the
 * making, or what a loss of power has left.
 */
const UNREADABLE_MS = 1_000;
/** Longer than any lock file of ours; what is longer is somebody's file that happens to have the name. */
const MAX_LOCK_FILE_BYTES = 1024;
const TOKEN = /^[0-9a-f]{32}$/;

/** A record as read, with when its file was written by the clock of the file system. */
type FoundRecord = LockRecord & { readonly mtimeMs: number };

/**
 * The lock file on disk, and the one way in which it changes hands.
 *
 * Why no two processes hold it at once, whoever is killed and whenever:
 * 1. A record is written to a file of its own first and gets the lock's name by link(2), which fails where the name is
 *    taken. So the lock file appears whole or not at all, and exactly one of those who found none has made it.
 * 2. Each record has a token that is never used again: a token that has left the lock file does not come back.
 * 3. Who finds the lock T abandoned does not remove it, since a lock that was taken meanwhile might go. It links its
 *    own record to the name `<lock>.T.next`. The link fails where there is one: T has at most one successor.
 * 4. Then it looks at the lock file again. If that does not start with the same token any more, the successor of T came
 *    and perhaps went already: the claim is void and removed. If it does, nobody has succeeded T before, for whoever
 *    does replaces the lock file (5) before it clears the claims away (6).
 * 5. The successor renames its record over the lock file: there is no moment without one for a third to slip into.
 * 6. Then it removes what the dead left behind. A successor that was killed before 5 is abandoned itself: its claim
 *    holds its token and is succeeded by the same rule, so the holder is whoever stands at the end of the chain.
 * 7. Release removes the file only where it holds one's own token, and nobody has claimed its succession.
 */
export class LockFile {
  readonly path: string;
  readonly #staleMs: number;
  /** A lock file without a record, and when it was first seen, by a clock that is never set. */
  #unreadable: { readonly token: string; readonly since: number } | undefined;

  #hasSwept = false;

  constructor(path: string, staleMs: number) {
    this.path = path;
    this.#staleMs = staleMs;
  }

  /** One attempt to take the lock with this token; undefined while somebody else has it. */
  async take(token: string): Promise<LockRecord | undefined> {
    return this.#named(async () => {
      const first = await this.#read(this.path);
      if (first === undefined) return this.#withCandidate(token, (mine) => this.#takeFree(mine));
      const last = await this.#endOfChain(first);
      // A network file system may report a link that succeeded as failed.
      if (last === first && first.token === token) return first;
      return this.#isAbandoned(last)
        ? this.#withCandidate(token, (mine) => this.#succeed(first, last, mine))
        : undefined;
    });
  }

  /** Removes the lock file if this record is what it holds. */
  async release({ token }: LockRecord): Promise<void> {
    await this.#named(async () => {
      const first = await this.#read(this.path);
      if (first?.token !== token || (await this.#read(this.#claimPath(token))) !== undefined) return;
      await remove(this.path);
    });
  }

  /** Whom the lock file names, alive or not. */
  async holder(): Promise<LockRecord | undefined> {
    return this.#named(async () => {
      const first = await this.#read(this.path);
      return first === undefined ? undefined : this.#endOfChain(first);
    });
  }

  async #endOfChain(first: FoundRecord): Promise<FoundRecord> {
    let last = first;
    for (let next: FoundRecord | undefined = first; next !== undefined; ) {
      last = next;
      next = await this.#read(this.#claimPath(last.token));
    }
    return last;
  }

  #isAbandoned(record: FoundRecord): boolean {
    if (record.pid > 0 && isOfThisHost(record)) return isLeftover(record) || hasEnded(record);
    if (record.pid === 0 && record.host === "" && this.#hasLastedUnreadable(record)) return true;
    // Nobody here can ask after it. Of the two clocks the one that says more, in case the other runs ahead of ours.
    return Date.now() - Math.min(record.since, record.mtimeMs) > this.#staleMs;
  }

  #hasLastedUnreadable({ token, mtimeMs }: FoundRecord): boolean {
    const now = performance.now();
    if (this.#unreadable?.token !== token) this.#unreadable = { token, since: now };
    return Math.max(now - this.#unreadable!.since, Date.now() - mtimeMs) > Math.min(UNREADABLE_MS, this.#staleMs);
  }

  async #takeFree(candidate: string): Promise<boolean> {
    if (!(await this.#linkTo(candidate, this.path))) return false;
    // What killed processes have left: once is enough.
    if (!this.#hasSwept) await this.#sweep().catch(() => undefined);
    return true;
  }

  async #succeed(first: FoundRecord, last: FoundRecord, candidate: string): Promise<boolean> {
    const claim = this.#claimPath(last.token);
    if (!(await this.#linkTo(candidate, claim))) return false;
    try {
      const now = await this.#read(this.path);
      if (now?.token !== first.token) {
        await remove(claim);
        return false;
      }
      await rename(candidate, this.path);
    } catch (error) {
      // Given up, so that nobody waits for a successor that never was. The first error is the one to tell.
      await remove(claim).catch(() => undefined);
      throw error;
    }
    // Left-overs hurt nobody; the lock is held whether they could be removed or not.
    await this.#sweep().catch(() => undefined);
    return true;
  }

  /**
   * Removes claims and candidates of the past. Claims on any token but the one in the lock file are void for ever; a
   * candidate of somebody who is still at it is missed by its link, and made again at the next attempt.
   */
  async #sweep(): Promise<void> {
    this.#hasSwept = true;
    const folder = dirname(this.path);
    const current = (await this.#read(this.path))?.token;
    const prefix = `${basename(this.path)}.`;
    for (const name of await readdir(folder)) {
      if (!name.startsWith(prefix)) continue;
      const [token = "", kind, ...rest] = name.slice(prefix.length).split(".");
      if (!TOKEN.test(token) || token === current || rest.length > 0) continue;
      if (kind === "next" || kind === "new") await remove(join(folder, name));
    }
  }

  /** Writes a record to a file of its own, and gives it to `use`, which may rename it; resolves to it if that is true. */
  async #withCandidate(token: string, use: (candidate: string) => Promise<boolean>): Promise<LockRecord | undefined> {
    const record: LockRecord = { ...thisProcess(), since: Date.now(), token };
    const candidate = `${this.path}.${token}.new`;
    const text = `${JSON.stringify(record)}\n`;
    try {
      try {
        await writeFile(candidate, text);
      } catch (error) {
        if (!isMissing(error)) throw error;
        await mkdir(dirname(this.path), { recursive: true });
        await writeFile(candidate, text);
      }
      return (await use(candidate)) ? record : undefined;
    } finally {
      // A leftover candidate does no harm, and the state of the lock is known without it.
      await remove(candidate).catch(() => undefined);
    }
  }

  async #linkTo(candidate: string, path: string): Promise<boolean> {
    try {
      await link(candidate, path);
      return true;
    } catch (error) {
      // Missing: a successor that cleared away has taken the candidate for a left-over.
      if (isMissing(error) || hasErrno(error, "EEXIST")) return false;
      throw error;
    }
  }

  async #read(path: string): Promise<FoundRecord | undefined> {
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(path, "r");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      const { mtimeMs, ino, size } = await file.stat();
      if (size > MAX_LOCK_FILE_BYTES) {
        throw new StorageError("CANNOT_OPEN", `${path} is not a lock file: it was left as it is. Lock another path`);
      }
      const text = await file.readFile("utf8");
      return { ...parseRecord(text, mtimeMs, `${ino} ${mtimeMs} ${text}`), mtimeMs };
    } finally {
      await file.close();
    }
  }

  #claimPath(token: string): string {
    return `${this.path}.${token}.next`;
  }

  /** Runs `work`; what the file system refuses becomes an error that names the lock. */
  async #named<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw asFileError(error, `Cannot use the lock file ${this.path}`);
    }
  }
}

/**
 * The record in a lock file. What is none, be it cut by a power loss or written by somebody else, is of an unknown host,
 * as old as its file, and gets its token from what tells it from others.
 */
function parseRecord(text: string, mtimeMs: number, identity: string): LockRecord {
  let found: Partial<Record<keyof LockRecord, unknown>> = {};
  try {
    found = (JSON.parse(text) as typeof found | null) ?? {};
  } catch {
    // As said above.
  }
  const { pid, host, since, token, machine, start, run } = found;
  const sinceMs = typeof since === "string" ? Date.parse(since) : since;
  return {
    pid: typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 ? pid : 0,
    host: typeof host === "string" ? host : "",
    since: typeof sinceMs === "number" && Number.isFinite(sinceMs) ? sinceMs : mtimeMs,
    // It becomes part of a file name.
    token: typeof token === "string" && TOKEN.test(token) ? token : hash(identity),
    machine: typeof machine === "string" ? machine : undefined,
    start: typeof start === "string" ? start : undefined,
    run: typeof run === "string" ? run : undefined,
  };
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** Gone already is as good as removed. */
async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** ESTALE: removed on a network file system while it was open here. */
function isMissing(error: unknown): boolean {
  return hasErrno(error, "ENOENT") || hasErrno(error, "ESTALE");
}
