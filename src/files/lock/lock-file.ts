import { createHash } from "node:crypto";
import { link, mkdir, open, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StorageError } from "../../shared/errors.js";
import { asFileError, hasErrno } from "../file-error.js";
import { hasEnded, isOfThisHost } from "../process-identity.js";
import { isLeftover, type LockRecord, thisProcess } from "./lock-owner.js";

/**
 * How long a file without a record is respected, in ms. Our lock files appear whole, so another program is writing such a
 * file, or a loss of power has cut it.
 */
const UNREADABLE_MS = 1_000;
/** Longer than any lock file of ours. A longer file belongs to someone else and only has the name of a lock. */
const MAX_LOCK_FILE_BYTES = 1024;
const TOKEN = /^[0-9a-f]{32}$/;

/** A record as read, with the time of its file by the clock of the file system. */
type FoundRecord = LockRecord & { readonly mtimeMs: number };

/**
 * The lock file on disk, and the only way in which it changes hands.
 *
 * Two processes never hold it at once, even if any of them are killed at any moment:
 * 1. A contender first writes its record to a separate file, which gets the lock's name by link(2). The link fails if the
 *    name is taken. So the lock file appears whole or not at all, and exactly one of several contenders creates it.
 * 2. Each record has a token that is never used again: a token that has left the lock file does not come back.
 * 3. A contender that finds the lock T abandoned does not remove it, because another process may have taken the lock in
 *    between. It links its own record to the name `<lock>.T.next`. That link fails if the name is taken, so T has at most
 *    one successor.
 * 4. Then it reads the lock file again. If the token is no longer T, a successor of T came before and has perhaps released
 *    the lock: the claim is void, and the contender removes it. If the token is still T, there was no successor, because a
 *    successor replaces the lock file (5) before it removes the claims (6).
 * 5. The successor renames its record over the lock file, so there is no moment without a lock file.
 * 6. Then it removes the files of ended processes. A successor that is killed before 5 is abandoned itself: its claim has
 *    its token and gets a successor by the same rule, so the holder is the record at the end of the chain.
 * 7. A release removes the file only if it has the holder's token and no successor has claimed it.
 */
export class LockFile {
  readonly path: string;
  readonly #staleMs: number;
  /** A lock file without a record, and when it was first seen, by a monotonic clock. */
  #unreadable: { readonly token: string; readonly since: number } | undefined;

  #hasSwept = false;

  constructor(path: string, staleMs: number) {
    this.path = path;
    this.#staleMs = staleMs;
  }

  /** Tries once to take the lock with this token; undefined if another holder has it. */
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

  /** Removes the lock file if it holds this record. */
  async release({ token }: LockRecord): Promise<void> {
    await this.#named(async () => {
      const first = await this.#read(this.path);
      if (first?.token !== token || (await this.#read(this.#claimPath(token))) !== undefined) return;
      await remove(this.path);
    });
  }

  /** The record of the holder, whether its process lives or not. */
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
    // This host cannot look for the process. Of the two times the older one counts, in case the other clock is ahead.
    return Date.now() - Math.min(record.since, record.mtimeMs) > this.#staleMs;
  }

  #hasLastedUnreadable({ token, mtimeMs }: FoundRecord): boolean {
    const now = performance.now();
    if (this.#unreadable?.token !== token) this.#unreadable = { token, since: now };
    return Math.max(now - this.#unreadable!.since, Date.now() - mtimeMs) > Math.min(UNREADABLE_MS, this.#staleMs);
  }

  async #takeFree(candidate: string): Promise<boolean> {
    if (!(await this.#linkTo(candidate, this.path))) return false;
    // Killed processes leave files; sweeping once is enough.
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
      // Removes the claim, so that no one waits for this successor. The first error is the one to report.
      await remove(claim).catch(() => undefined);
      throw error;
    }
    // Leftovers are harmless; the lock is held whether they could be removed or not.
    await this.#sweep().catch(() => undefined);
    return true;
  }

  /**
   * Removes old claims and candidates. A claim on any token but the one in the lock file is void for good. If a contender
   * loses its candidate here, its link fails, and it writes the candidate again at the next attempt.
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

  /** Writes a record to a separate file for `use`, which may rename it. Resolves to the record if `use` resolves to true. */
  async #withCandidate(token: string, use: (candidate: string) => Promise<boolean>): Promise<LockRecord | undefined> {
    const record: LockRecord = { ...thisProcess(), since: Date.now(), token };
    const candidate = `${this.path}.${token}.new`;
    const text = `${JSON.stringify(record)}\n`;
    try {
      await writeFile(candidate, text).catch(async (error: unknown) => {
        if (!isMissing(error)) throw error;
        await mkdir(dirname(this.path), { recursive: true });
        await writeFile(candidate, text);
      });
      return (await use(candidate)) ? record : undefined;
    } finally {
      // A leftover candidate is harmless.
      await remove(candidate).catch(() => undefined);
    }
  }

  async #linkTo(candidate: string, path: string): Promise<boolean> {
    try {
      await link(candidate, path);
      return true;
    } catch (error) {
      // Missing: the sweep of a successor has removed the candidate as a leftover.
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

  /** Runs `work`. Errors of the file system become ones that name the lock. */
  async #named<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw asFileError(error, `Cannot use the lock file ${this.path}`);
    }
  }
}

/**
 * The record in a lock file. A text that is not a record, because a power loss has cut it or another program wrote it,
 * counts as one of an unknown host, as old as its file, with a token made from the identity of the file.
 */
function parseRecord(text: string, mtimeMs: number, identity: string): LockRecord {
  let found: Partial<Record<keyof LockRecord, unknown>> = {};
  try {
    found = (JSON.parse(text) as typeof found | null) ?? {};
  } catch {
    // It is not a record.
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

/** Removes a file, which may be gone already. */
async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** ESTALE: the file was removed on a network file system while it was open here. */
function isMissing(error: unknown): boolean {
  return hasErrno(error, "ENOENT") || hasErrno(error, "ESTALE");
}
