/** The text of src/shared/holdfast-migrations.ts, from drizzle/. */
export declare function embeddedMigrations(): string;
