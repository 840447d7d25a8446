/** The message of a wrong argument: which one, what it must be, and what it is. */
export function expectation(name: string, expected: string, value: unknown): string {
  return `Expected \`${name}\` to be ${expected}, got ${describeValue(value)}`;
}

/** A value as a message shows it: short, and nothing of what an object holds. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (value === null || typeof value !== "object") return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
  return Array.isArray(value) ? "an array" : (value.constructor?.name ?? "an object");
}
