/**
 * Runs `work` for the process that started this one, whose order is JSON in the last argument; what `work` says reaches
 * the parent as lines of JSON. The process then ends, and at once if its parent has ended.
 */
export async function answerParent<Order, Message>(
  work: (order: Order, say: (message: Message) => void) => Promise<void>,
): Promise<void> {
  for (const event of ["end", "error"]) process.stdin.on(event, () => process.exit(1));
  process.stdin.resume();
  await work(JSON.parse(process.argv.at(-1)!) as Order, (message) => {
    process.stdout.write(`${JSON.stringify(message)}\n`);
  });
  process.stdout.write("", () => process.exit(0));
}
