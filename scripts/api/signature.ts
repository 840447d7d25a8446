const MAX_WIDTH = 100;

/** A signature with one parameter or member of a union a line, if it does not fit into one. */
export function wrapSignature(signature: string): string {
  if (signature.length <= MAX_WIDTH || signature.includes("\n")) return signature;
  if (/^type \w+ = "/.test(signature))
    return signature.replaceAll(/(?: =| \|) (?=")/g, (sign) => (sign === " = " ? " =\n  | " : "\n  | "));
  const open = signature.indexOf("(");
  const parts = open < 0 ? undefined : splitParameters(signature, open);
  if (parts === undefined || parts.parameters.length === 0) return signature;
  const lines = parts.parameters.map((parameter) => `  ${parameter},`);
  return [signature.slice(0, open + 1), ...lines, signature.slice(parts.end)].join("\n");
}

/** The parameters behind the bracket at `open`, and the index of the bracket that closes them. */
function splitParameters(text: string, open: number): { parameters: string[]; end: number } | undefined {
  const parameters: string[] = [];
  let [depth, start] = [0, open + 1];
  for (let at = open; at < text.length; at++) {
    const char = text[at]!;
    if ("([{<".includes(char)) depth++;
    // The arrow of a function type closes nothing.
    const closes = ")]}".includes(char) || (char === ">" && text[at - 1] !== "=");
    if (closes) depth--;
    if ((char === "," && depth === 1) || depth === 0) {
      const parameter = text.slice(start, at).trim();
      if (parameter !== "") parameters.push(parameter);
      start = at + 1;
    }
    if (depth === 0) return { parameters, end: at };
  }
  return undefined;
}
