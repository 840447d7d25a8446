/** Splits a URL into the URL without its token, and the token, if it has one. */
export function takeToken(url: string): { url: string; authToken: string | undefined } {
  const [address, query] = splitOnce(url, "?");
  if (query === undefined) return { url, authToken: undefined };
  const kept: string[] = [];
  let authToken: string | undefined;
  for (const pair of query.split("&")) {
    const [key, value = ""] = splitOnce(pair, "=");
    if (decode(key) === "authToken") authToken = decode(value);
    else kept.push(pair);
  }
  return { url: kept.length === 0 ? address : `${address}?${kept.join("&")}`, authToken };
}

/** Returns a function that removes these secrets from a text, also where they are part of a URL. */
export function redactor(secrets: readonly (string | undefined)[]): (text: string) => string {
  const known = secrets.filter((secret): secret is string => typeof secret === "string" && secret !== "");
  const spellings = [
    ...new Set(known.flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])),
  ];
  // The longest first, because one secret may be the beginning of another.
  spellings.sort((a, b) => b.length - a.length);
  return (text) => spellings.reduce((safe, spelling) => safe.replaceAll(spelling, "[redacted]"), text);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // The text is not valid percent-encoding, so it has no other spelling.
    return text;
  }
}
