/** Codes that turn a style on and off. */
const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
} as const;

export type Style = keyof typeof CODES;

/** A piece of text with its style. */
export interface Part {
  readonly text: string;
  readonly style?: Style | undefined;
}

/**
 * Whether a stream gets colors: by FORCE_COLOR and NO_COLOR, of which the first one wins as in Node, and otherwise if it
 * is a terminal.
 */
export function usesColor(
  stream: { readonly isTTY?: boolean },
  { FORCE_COLOR: forced, NO_COLOR: refused, TERM: terminal }: NodeJS.ProcessEnv = process.env,
): boolean {
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  if (refused !== undefined && refused !== "") return false;
  return stream.isTTY === true && terminal !== "dumb";
}

/** The text in its style. */
export function paint({ text, style }: Part, isColored: boolean): string {
  if (!isColored || style === undefined || text === "") return text;
  const [on, off] = CODES[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}
