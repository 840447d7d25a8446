/** How text with lone surrogates or NUL is treated: the call is refused, or U+FFFD is stored in their place. */
export type InvalidText = "refuse" | "replace";

/** Gives text that can be stored; see `RepositoryContext`. */
export type Repair = <T>(value: T) => T;

/** Returns the values of inputs unchanged. Later checks refuse text that cannot be stored. */
export const keepText: Repair = (value) => value;

/** The same for stored or exported records. Their JSON may hold such text, which earlier versions accepted. */
const keepStored: Repair = (value) => value;

export function toRepair(invalidText: InvalidText): Repair {
  return invalidText === "replace" ? replaceInvalidText : keepText;
}

/** The repair for records that were stored before. */
export function forStored(repair: Repair): Repair {
  return repair === keepText ? keepStored : repair;
}

/** Whether JSON text with NUL or lone surrogates is refused. */
export function refusesInJson(repair: Repair): boolean {
  return repair === keepText;
}

/**
 * A value with U+FFFD in place of each lone surrogate and NUL in its texts, and in the keys and values of its arrays and
 * plain objects. A value that needs no repair is returned itself, as is everything else, a Date for example.
 */
const replaceInvalidText: Repair = <T>(value: T): T => repair(value, []) as T;

/** Deeper values are refused anyway. */
const MAX_DEPTH = 1000;

function repair(value: unknown, parents: readonly object[]): unknown {
  if (typeof value === "string") return repairText(value);
  if (typeof value !== "object" || value === null || parents.length > MAX_DEPTH || parents.includes(value))
    return value;
  const inner = [...parents, value];
  if (Array.isArray(value)) {
    const copy = value.map((one) => repair(one, inner));
    return copy.every((one, index) => one === value[index]) ? value : copy;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return value;
  let isChanged = false;
  const taken = new Set(Object.keys(value));
  const entries = Object.entries(value).map(([key, one]) => {
    let name = repairText(key);
    if (name !== key) {
      // Two keys that became one would lose a value.
      while (taken.has(name)) name += "\uFFFD";
      taken.add(name);
    }
    const own = repair(one, inner);
    isChanged ||= name !== key || own !== one;
    return [name, own];
  });
  return isChanged ? Object.fromEntries(entries) : value;
}

/** `text` with U+FFFD for each lone surrogate and NUL, which the database cannot store. */
export function repairText(text: string): string {
  const wellFormed = text.toWellFormed();
  return wellFormed.includes("\0") ? wellFormed.replaceAll("\0", "\uFFFD") : wellFormed;
}
