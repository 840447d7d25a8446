export { acquireLock, FileLock, type FileLockOptions, type LockHolder, releaseLock } from "./file-lock.js";
