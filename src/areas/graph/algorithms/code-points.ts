/**
 * Compares texts by code point, as SQLite's BINARY order does.
 *
 * JavaScript's own `<` compares UTF-16 units, and puts U+FFFD after an emoji, whose first unit is a surrogate.
 */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    // Surrogates stand for code points above all other units; of two surrogates the units decide.
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
