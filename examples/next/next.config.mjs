export default {
  output: "standalone",
  serverExternalPackages: ["@libsql/client", "libsql"],
  // Holdfast also loads libsql/promise, which Next.js cannot see.
  outputFileTracingIncludes: { "/*": ["./node_modules/libsql/*.js"] },
};
