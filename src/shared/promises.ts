/** Has `fail` hear of the rejection of what a callback answered, a promise of any library or realm; other answers pass. */
export function onRejection(answer: unknown, fail: (error: unknown) => void): void {
  if (typeof answer !== "object" || answer === null || !("then" in answer)) return;
  Promise.resolve(answer).catch(fail);
}
