import { readFileSync } from "node:fs";
import { relative } from "node:path/posix";
import { fileURLToPath } from "node:url";
import type { Node } from "typescript/unstable/ast";
import {
  isClassDeclaration,
  isFunctionDeclaration,
  isInterfaceDeclaration,
  isIntersectionTypeNode,
  isMethodDeclaration,
  isMethodSignatureDeclaration,
  isTypeAliasDeclaration,
  isVariableDeclaration,
} from "typescript/unstable/ast/is";
import { API, type Checker, type Symbol as CompilerSymbol, type Project, SymbolFlags } from "typescript/unstable/sync";
import { type DocComment, NO_COMMENT, parseDocComment } from "./doc-comment.js";

/** A method or a property of a class or an interface. */
export interface Member {
  readonly name: string;
  readonly isMethod: boolean;
  readonly isOptional: boolean;
  /** The signatures of a method; the type of a property. */
  readonly signatures: readonly string[];
  readonly comment: DocComment;
  /** The class or interface that declares it, if it is another one. */
  readonly inheritedFrom: string | undefined;
  /** Whether another package declares it. */
  readonly isForeign: boolean;
}

/** Something that an entry of the package exports. */
export interface Declaration {
  readonly name: string;
  /** The entries that export it: `holdfast`, `holdfast/client`, … */
  readonly entries: string[];
  /** Its source file, from `src`, without the extension. */
  readonly file: string;
  readonly kind: "function" | "class" | "interface" | "other";
  /** Without the members. */
  readonly signatures: readonly string[];
  readonly comment: DocComment;
  readonly members: readonly Member[];
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replaceAll("\\", "/");

/** What the entries of the package export, from its declarations. */
export function readEntries(): Declaration[] {
  const { exports } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
  const api = new API({ cwd: ROOT });
  try {
    const snapshot = api.updateSnapshot({ openProjects: [`${ROOT}scripts/api/tsconfig.json`] });
    const project = snapshot.getProjects()[0]!;
    const found = new Map<number, Declaration>();
    for (const [entry, { types }] of Object.entries(exports as Record<string, { readonly types?: string }>)) {
      // The tables of the schema have their own page.
      if (types === undefined || entry === "./schema") continue;
      for (const [name, symbol] of exportsOf(project, `${ROOT}${types.replace("./dist", "declarations")}`)) {
        const known = found.get(symbol.id) ?? describe(project, name, symbol);
        known?.entries.push(`holdfast${entry.slice(1)}`);
        if (known !== undefined) found.set(symbol.id, known);
      }
    }
    return [...found.values()];
  } finally {
    api.close();
  }
}

function exportsOf({ program, checker }: Project, file: string): [string, CompilerSymbol][] {
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} is missing: run \`npm run build\` first`);
  return checker
    .getExportsOfModule(module)
    .map((symbol) => [symbol.name, symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol]);
}

function describe(project: Project, name: string, symbol: CompilerSymbol): Declaration | undefined {
  const nodes = nodesOf(project, symbol);
  const file = fileOf(nodes[0]);
  if (file === undefined) return undefined;
  const isClass = nodes.some(isClassDeclaration);
  // An intersection adds conditions on type parameters to an interface.
  const isIntersection = nodes.some((node) => isTypeAliasDeclaration(node) && isIntersectionTypeNode(node.type));
  const isObject = isClass || isIntersection || nodes.some(isInterfaceDeclaration);
  // An interface that is merged with a class only adds members.
  const shown = isClass ? nodes.filter(isClassDeclaration) : nodes;
  return {
    name,
    entries: [],
    file,
    kind: isClass ? "class" : isObject ? "interface" : nodes.some(isFunctionDeclaration) ? "function" : "other",
    signatures: shown.map((node) => clean(isObject ? withoutMembers(node) : textOf(node))),
    comment: commentOf(shown),
    members: isObject ? membersOf(project, symbol, nodes) : [],
  };
}

function membersOf(project: Project, symbol: CompilerSymbol, nodes: readonly Node[]): Member[] {
  const { checker } = project;
  const properties = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol));
  const statics = nodes.some(isClassDeclaration) ? [...symbol.getExports().values()] : [];
  return [...statics, ...properties].flatMap((member) => {
    const own = nodesOf(project, member);
    const isForeign = own.length > 0 && fileOf(own[0]) === undefined;
    // What every object or Error has.
    if (isForeign && !own.some((node) => node.getSourceFile().fileName.includes("/@libsql/"))) return [];
    const owner = (own[0]?.parent as { readonly name?: Node } | undefined)?.name?.getText();
    const comment = own.length > 0 ? commentOf(own) : commentOfType(project, member);
    const alias = checker.getTypeOfSymbol(member)?.getAliasSymbol();
    const declaring = [...own, ...(alias === undefined ? [] : nodesOf(project, alias))];
    // The calls of @memvid/sdk that only reject.
    if (declaring.some((node) => fileOf(node) === "memvid/unsupported")) return [];
    if (comment.isInternal || isHidden(member.name, own)) return [];
    const isMethod = own.some((node) => isMethodDeclaration(node) || isMethodSignatureDeclaration(node));
    return [
      {
        name: member.name.replace(/^__@(\w+)@\d+$/, "[Symbol.$1]"),
        isMethod,
        isOptional: (member.flags & SymbolFlags.Optional) !== 0,
        signatures: isMethod ? own.map((node) => clean(textOf(node))) : [typeOf(checker, member, own[0])],
        comment,
        inheritedFrom: owner === symbol.name ? undefined : owner,
        isForeign,
      },
    ];
  });
}

/** The comment of the type of a member that a mapped type makes, such as a repository. */
function commentOfType(project: Project, member: CompilerSymbol): DocComment {
  const type = project.checker.getTypeOfSymbol(member)?.getSymbol();
  return type === undefined ? NO_COMMENT : commentOf(nodesOf(project, type));
}

/** The members that no caller uses. `name` of an error is that of its class. */
function isHidden(name: string, nodes: readonly Node[]): boolean {
  if (name.includes("#") || name === "prototype") return true;
  const isError = name === "name" && nodes.some((node) => /Error\b/.test(node.parent.getText().slice(0, 200)));
  return isError || nodes.some((node) => /^(?:private|protected) /.test(node.getText()));
}

/** The type of a property as it is written, or as the compiler infers it. */
function typeOf(checker: Checker, member: CompilerSymbol, node: Node | undefined): string {
  const written = (node as { readonly type?: Node } | undefined)?.type;
  const type = checker.getTypeOfSymbol(member);
  const text = written !== undefined ? written.getText() : type === undefined ? "" : checker.typeToString(type);
  const isOptional = (member.flags & SymbolFlags.Optional) !== 0;
  return isOptional ? clean(text).replace(/ \| undefined$/, "") : clean(text);
}

function nodesOf(project: Project, symbol: CompilerSymbol): Node[] {
  return symbol.declarations.flatMap((handle) => handle.resolve(project) ?? []);
}

function fileOf(node: Node | undefined): string | undefined {
  const path = node === undefined ? undefined : relative(`${ROOT}declarations`, node.getSourceFile().fileName);
  return path === undefined || path.startsWith("..") ? undefined : path.replace(/\.d\.ts$/, "");
}

/** The text of a declaration; the node of a variable is only the part behind `const`. */
function textOf(node: Node): string {
  return isVariableDeclaration(node) ? `const ${node.getText()}` : node.getText();
}

/** The text of a declaration up to its members, which are described one by one. */
function withoutMembers(node: Node): string {
  return textOf(node).replace(isTypeAliasDeclaration(node) ? ` = ${node.type.getText()}` : / \{[\s\S]*$/, "");
}

/** On one line, without what only a declaration file needs. A type with comments keeps its lines. */
function clean(text: string): string {
  const plain = text
    .replace(/import\("[^"]+"\)\./g, "")
    .replace(/^(?:export |declare |default )+/, "")
    .replace(/;$/, "");
  return plain.includes("/*") ? plain : plain.replace(/\s+/g, " ").replace(/; \}/g, " }");
}

/** The comment before a declaration; that of a variable is before its whole statement. */
function commentOf(nodes: readonly Node[]): DocComment {
  for (const node of nodes) {
    const owner = isVariableDeclaration(node) ? node.parent.parent : node;
    const last = (owner as { readonly jsDoc?: readonly Node[] }).jsDoc?.at(-1);
    if (last !== undefined) return parseDocComment(last.getText());
  }
  return NO_COMMENT;
}
