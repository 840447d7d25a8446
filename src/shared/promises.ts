/**
 * Calls `fail` if the answer of a callback is a promise, of any library or realm, and rejects. Ignores other answers.
 */
export function onRejection(answer: unknown, fail: (error: unknown) => void): void {
  if (typeof answer !== "object" || answer === null || !("then" in answer)) return;
  Promise.resolve(answer).catch(fail);
}
