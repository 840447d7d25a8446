import { wrongType } from "./argument-error.js";
import { describeValue } from "./expectation.js";

/**
 * Throws TypeError if a call got an argument more than it takes, because options in it would have no effect. `null` and
 * numbers are let through: Array.map gives the index of an item.
 */
export function refuseSurplus(call: string, taken: number, given: ArrayLike<unknown>, advice = ""): void {
  const surplus = given[taken];
  if (surplus === undefined || surplus === null || typeof surplus === "number") return;
  const most = ["no arguments", "one argument at most", "two arguments at most"][taken];
  throw wrongType(`Expected ${call} to get ${most}, got ${described(surplus)} as argument ${taken + 1}${advice}`);
}

/** A text may be a key. */
function described(value: unknown): string {
  return typeof value === "string" ? "a string" : describeValue(value);
}

/** Makes methods of a class that return promises, each named with the number of its arguments, reject if they get options. */
export function takeNoOptions(
  name: string,
  { prototype }: { prototype: object },
  methods: Record<string, number>,
): void {
  for (const [method, taken] of Object.entries(methods)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, method)!;
    const call = descriptor.value as (...given: unknown[]) => unknown;
    const checked = {
      [method](...given: unknown[]) {
        try {
          if (given.length > taken) refuseSurplus(`${name}.${method}`, taken, given, ". It has no options");
        } catch (error) {
          return Promise.reject(error);
        }
        return call.apply(this, given);
      },
    };
    Object.defineProperty(prototype, method, { ...descriptor, value: checked[method] });
  }
}
