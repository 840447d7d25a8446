/**
 * A JSON object of your own. `withMetadata` gives it a type. As in JSON.stringify, functions, symbols and undefined values
 * are left out. What JSON would store as something else, such as NaN, a bigint, a Map or a circular object, is refused.
 */
export type Metadata = Record<string, unknown>;

/** Top-level keys of metadata and the values that they must have. */
export type MetadataFilter<M extends object> = { readonly [K in keyof M]?: M[K] | undefined };
