import { KeyferryError } from "../../core/base/error.js"

/** What keyferry may do with each table at work. Lines of the custody log are added, and never changed or taken away. */
const TABLES = {
  text: "SELECT, INSERT, UPDATE, DELETE",
  custody_log: "SELECT, INSERT",
  binding: "SELECT, INSERT, UPDATE",
  quota: "SELECT, INSERT, UPDATE",
  migration: "SELECT",
} as const

/** Longer names PostgreSQL cuts, in bytes: the grants would be another role's. */
const LONGEST_NAME = 63

/**
 * SQL that gives a role what keyferry's commands and agents need of the state's database, and takes from it, and from
 * everybody, what else they have of keyferry's tables. For the owner of the tables to run, after `state migrate`; a second
 * time it changes nothing. The tables of jobs are among it where they are there.
 *
 * @throws ERR_USAGE where that is no name that a role can have
 */
export function grantsFor(role: string): string {
  const name = quotedRole(role)
  const whom = `PUBLIC, ${name}`
  const grants = Object.entries(TABLES).map(([table, rights]) => `GRANT ${rights} ON keyferry.${table} TO ${name};`)
  const jobs = `BEGIN
  IF to_regnamespace('keyferry_jobs') IS NOT NULL THEN
    REVOKE ALL ON SCHEMA keyferry_jobs FROM ${whom};
    REVOKE ALL ON ALL TABLES IN SCHEMA keyferry_jobs FROM ${whom};
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA keyferry_jobs FROM ${whom};
    REVOKE ALL ON ALL ROUTINES IN SCHEMA keyferry_jobs FROM ${whom};
    GRANT USAGE ON SCHEMA keyferry_jobs TO ${name};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keyferry_jobs TO ${name};
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA keyferry_jobs TO ${name};
    GRANT EXECUTE ON ALL ROUTINES IN SCHEMA keyferry_jobs TO ${name};
  END IF;
END`
  const quote = dollarQuote(jobs)
  return [
    "BEGIN;",
    `REVOKE ALL ON SCHEMA keyferry FROM ${whom};`,
    `REVOKE ALL ON ALL TABLES IN SCHEMA keyferry FROM ${whom};`,
    `GRANT USAGE ON SCHEMA keyferry TO ${name};`,
    ...grants,
    `DO ${quote}`,
    jobs,
    `${quote};`,
    "COMMIT;",
  ].join("\n")
}

/** `public` is everybody for PostgreSQL, in quotes too, and names of `pg_` are its own. */
function quotedRole(role: string): string {
  const fault =
    role === ""
      ? "is empty"
      : /\p{Cc}/u.test(role)
        ? "has a control character"
        : /^(public|none)$/.test(role) || role.startsWith("pg_")
          ? "is no role of one's own: PostgreSQL has another meaning for it"
          : Buffer.byteLength(role) > LONGEST_NAME
            ? `is longer than the ${LONGEST_NAME} bytes of a role's name`
            : null
  if (fault === null) return `"${role.replaceAll('"', '""')}"`
  throw new KeyferryError("ERR_USAGE", `--role ${JSON.stringify(role)} ${fault}`, {
    hint: "give the role that keyferry logs in as: the user of state.postgres.url",
  })
}

/** A quote that does not stand in the text. */
function dollarQuote(text: string): string {
  let quote = "$keyferry$"
  while (text.includes(quote)) quote = `${quote.slice(0, -1)}_$`
  return quote
}
