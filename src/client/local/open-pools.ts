interface Pool {
  stats(): { readonly pool: { readonly active: number; readonly idle: number } };
}

/** Weak, because a client that was never closed must be collected all the same. */
const pools = new Set<WeakRef<Pool>>();
const collected = new FinalizationRegistry<WeakRef<Pool>>((reference) => pools.delete(reference));

/** Counts a pool among the open ones, until the function that it returns is called. */
export function notePool(pool: Pool): () => void {
  const reference = new WeakRef(pool);
  pools.add(reference);
  collected.register(pool, reference, reference);
  return () => {
    pools.delete(reference);
    collected.unregister(reference);
  };
}

/** The connections of all open pools of the process, by state. */
export function countConnections(): { readonly used: number; readonly idle: number } {
  let used = 0;
  let idle = 0;
  for (const reference of pools) {
    const stats = reference.deref()?.stats().pool;
    used += stats?.active ?? 0;
    idle += stats?.idle ?? 0;
  }
  return { used, idle };
}
