const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;
/** Of UUIDv7, only the last characters tell records apart: the first ones are the time. */
const UUID_CHARACTERS = 8;

/** The last characters of an id. `holdfast show` takes them in its place. */
export function shortId(id: string): string {
  return UUID.test(id) ? id.slice(-UUID_CHARACTERS) : Array.from(id).slice(-12).join("");
}
