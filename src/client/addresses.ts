import { LibsqlError } from "@libsql/client/sqlite3";
import { withoutCode } from "../shared/errors.js";
import { parseLocalUrl } from "./file-url.js";

const PARAMETERS = ["authToken", "tls"];

/**
 * Checks the URL of a database before any work: RangeError, in words that never quote the URL, since each part of it may
 * hold a secret.
 */
export function expectAddress(name: string, url: string): string {
  if (/^\w+:\/\/[^/?#]*@/.test(url)) {
    throw new RangeError(`Expected \`${name}\` to hold no user and no password: give a token as \`authToken\``);
  }
  if (/^(file:|:memory:)/i.test(url)) return expectLocal(name, url);
  if (!/^(libsql|https?):/i.test(url)) return url;
  const refuse = (what: string) => new RangeError(`Expected \`${name}\` to ${what}`);
  if (url.includes("#")) throw refuse("have no fragment (#…): give a token as `authToken`");
  let address: URL;
  try {
    address = new URL(url.replace(/^libsql:/i, "https:"));
  } catch {
    throw refuse("be a valid URL of a server, such as libsql://host or http://127.0.0.1:8080");
  }
  if (!/^\w+:\/\/[^/?]/.test(url)) throw refuse("name a host, such as libsql://host or http://127.0.0.1:8080");
  for (const [key, value] of address.searchParams) {
    if (!PARAMETERS.includes(key)) throw refuse(`have no query parameters but ${PARAMETERS.join(" and ")}`);
    if (key === "tls" && value !== "0" && value !== "1") throw refuse("have 0 or 1 as its parameter tls");
  }
  return url;
}

/** Refuses a path: @libsql/client says only that it is not a URL. */
export function expectScheme(url: string): string {
  if (url === ":memory:" || /^[a-z][a-z\d+.-]+:/i.test(url)) return url;
  throw new LibsqlError(
    "The URL is not in a valid format. For a file, write file: before the path: file:app.db",
    "URL_INVALID",
  );
}

function expectLocal(name: string, url: string): string {
  try {
    parseLocalUrl(url);
    return url;
  } catch (error) {
    if (!(error instanceof LibsqlError) || !error.code.startsWith("URL_")) throw error;
    throw new RangeError(`Expected \`${name}\` to be a valid file: URL. ${withoutCode(error)}`);
  }
}
