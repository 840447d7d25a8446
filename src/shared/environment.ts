/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process as it is now. Everything that reads a variable asks here. */
export function environment(): Environment {
  return process.env;
}

/** The encryption key of a call that names none. */
export function environmentKey(): string | undefined {
  return environment().HOLDFAST_ENCRYPTION_KEY || undefined;
}
