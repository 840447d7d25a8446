/**
 * Runs `work` with the order of the process that started this one; see `runChild`. What `work` says reaches the parent as
 * lines of JSON. The process then ends.
 */
export async function answerParent<Order, Message>(
  order: Order,
  work: (order: Order, say: (message: Message) => void) => Promise<void>,
): Promise<void> {
  await work(order, (message) => {
    process.stdout.write(`${JSON.stringify(message)}\n`);
  });
  process.stdout.write("", () => process.exit(0));
}
