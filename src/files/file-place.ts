import { statfsSync } from "node:fs";
import { dirname, sep } from "node:path";

/** Network file systems by the type that `statfs` reports. Their locks and memory maps are not reliable. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
  [0x01021997, "9P"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x73757245, "Coda"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x65735546, "FUSE"],
  [0x786f4256, "a folder shared by VirtualBox"],
]);

/** Folders that a program copies to other machines, one file at a time, at any moment. */
const SYNCED_FOLDERS =
  /^(Dropbox( \(.*\))?|OneDrive( - .*)?|Google ?Drive|My Drive|iCloud ?Drive|Mobile Documents|Nextcloud|ownCloud|pCloud ?Drive|MEGA(sync)?|Syncthing|Box( Sync)?|Yandex\.Disk)$/i;

/**
 * Says why a database file is in an unsafe place: on a network file system, or in a synchronized folder. Undefined if
 * nothing is known against the place, which does not prove that it is safe. Opens no file.
 */
export function describePlace(path: string): string | undefined {
  if (path === ":memory:") return undefined;
  const folder = dirname(path)
    .split(sep)
    .find((name) => SYNCED_FOLDERS.test(name));
  if (folder !== undefined) {
    return `${path} is in a folder that is synchronized (${folder}): a copy of the file without its -wal loses commits, and another machine may change it. Keep the database elsewhere, and put backups there`;
  }
  const system = networkFileSystem(path);
  if (system === undefined) return undefined;
  return `${path} is on a network file system (${system}): its locks do not keep other machines out, and power loss may take acknowledged writes. Keep the database on a local disk, or run a libSQL server`;
}

function networkFileSystem(path: string): string | undefined {
  try {
    return nameOfFileSystem(statfsSync(dirname(path)).type);
  } catch {
    // Opening the file reports a missing folder; some systems have no type.
    return undefined;
  }
}

/** The name of a network file system by its type; undefined for any other. */
export function nameOfFileSystem(type: number): string | undefined {
  // Some systems report a signed number of 32 bits.
  return NETWORK_FILE_SYSTEMS.get(type >>> 0);
}
