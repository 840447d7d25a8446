import * as sdk from "./sdk.js";

const { use } = sdk;

/** The default export of @memvid/sdk: `use`, with all other names of the module as properties. */
export const memvid = Object.assign(
  (...args: Parameters<typeof use>): ReturnType<typeof use> => use(...args),
  { verify: use.verify, doctor: use.doctor },
  sdk,
);
