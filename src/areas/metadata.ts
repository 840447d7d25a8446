/**
 * A JSON object of your own. `withMetadata`, or `withData` of a graph, gives it a type. As in JSON.stringify, functions,
 * symbols and undefined values are left out, and an object with a `toJSON`, such as a Date, becomes what that returns. NaN,
 * a bigint, a Map, a typed array and a circular object are refused.
 */
export type Metadata = Record<string, unknown>;

/** The keys that an `M` must have; an index signature is none. */
type RequiredKeys<M extends object> = keyof {
  [K in keyof M as string extends K ? never : Partial<Pick<M, K>> extends Pick<M, K> ? never : K]: never;
};

/** One type or another, by whether all keys of `M` are optional: then `{}`, the default of metadata, is one. */
export type IfOptional<M extends object, Yes, No> = RequiredKeys<M> extends never ? Yes : No;

/** The part of an input that makes `metadata` required if `M` has required keys. */
export type RequiredMetadata<M extends object> = IfOptional<M, unknown, { readonly metadata: M }>;

/** As `RequiredMetadata`, for the data of nodes and edges. */
export type RequiredData<D extends object> = IfOptional<D, unknown, { readonly data: D }>;

/** Top-level keys of metadata and the values that they must have. */
export type MetadataFilter<M extends object> = { readonly [K in keyof M]?: M[K] | undefined };
