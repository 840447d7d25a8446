/** A doc comment, taken apart. */
export interface DocComment {
  /** The description, with Markdown paragraphs. */
  readonly text: string;
  readonly default: string | undefined;
  readonly examples: readonly string[];
  /** Whether it is not for users of the package. */
  readonly isInternal: boolean;
}

export const NO_COMMENT: DocComment = { text: "", default: undefined, examples: [], isInternal: false };

/** Reads the source text of a doc comment, with its stars. */
export function parseDocComment(source: string): DocComment {
  const lines = source.replace(/^\/\*\*|\*\/$/g, "").split("\n");
  const body = lines.map((line) => line.replace(/^\s*\* ?/, "")).join("\n");
  const [text = "", ...tags] = body.split(/(?:^|\s)@(?=(?:default|example|internal|param)\b)/);
  const valuesOf = (name: string) =>
    tags.filter((tag) => tag.startsWith(name)).map((tag) => tag.slice(name.length).trim());
  const parameters = valuesOf("param").map((value) => value.replace(/^(\S+)\s+(?:- )?/, "`$1`: "));
  return {
    text: [text.trim(), ...parameters].filter((part) => part !== "").join("\n\n"),
    default: valuesOf("default")[0],
    examples: valuesOf("example"),
    isInternal: tags.some((tag) => tag.startsWith("internal")),
  };
}
