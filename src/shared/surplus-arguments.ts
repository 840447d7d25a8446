import { describeValue } from "./expectation.js";

/** Throws TypeError if a call that takes one argument got a second one: options in it would have no effect. `advice` ends the message. */
export function refuseSecond(call: string, given: ArrayLike<unknown>, advice: string): void {
  const second = given[1];
  // Array.map gives the index of an item.
  if (second === undefined || second === null || typeof second === "number") return;
  // A text may be a key.
  const what = typeof second === "string" ? "a string" : describeValue(second);
  throw new TypeError(`Expected ${call} to get one argument at most, got ${what} as argument 2${advice}`);
}
