export { acquireLock, FileLock, type FileLockOptions, type LockHolder, releaseLock } from "../memvid/file-lock.js";
