import { KeyferryError } from "../../core/base/error.js"
import type { TextPath, Texts } from "../records/texts.js"
import type { Database } from "./database.js"
import { type Fences, writeFenced } from "./fence.js"

/** Parts of a path are names of files on the other side too: none has this in it. */
const SEPARATOR = "/"

/**
 * Texts as rows of `keyferry.text`, UTF-8, each under its path with slashes. A write is committed when it returns, under
 * the fences of what is held at that moment.
 */
export function rowTexts(database: Database, fences: Fences = () => []): Texts {
  const write = async (
    path: TextPath,
    sql: (stillHeld: string) => string,
    values: readonly unknown[],
  ): Promise<void> => {
    await writeFenced(database, { sql, values: [keyOf(path), ...values], fences: fences() })
  }

  return {
    placeOf: (path) => `${keyOf(path)} in ${database.place}`,

    async names(folder) {
      const prefix = `${keyOf(folder)}${SEPARATOR}`
      const { rows } = await database.query<{ name: string }>(
        `SELECT DISTINCT split_part(substr(path, length($1) + 1), '/', 1) AS name
           FROM keyferry.text WHERE path >= $1 AND path < $2`,
        [prefix, `${keyOf(folder)}0`],
      )
      // hidden ones are none, and the order is that of names of files
      return rows
        .map(({ name }) => name)
        .filter((name) => !name.startsWith("."))
        .sort()
    },

    async read(path) {
      const { rows } = await database.query<{ content: Buffer }>("SELECT content FROM keyferry.text WHERE path = $1", [
        keyOf(path),
      ])
      return rows[0]?.content.toString("utf8")
    },

    put: (path, text) =>
      write(
        path,
        (stillHeld) =>
          `INSERT INTO keyferry.text (path, content) SELECT $1::text, $2::bytea WHERE ${stillHeld}
             ON CONFLICT (path) DO UPDATE SET content = excluded.content`,
        [Buffer.from(text, "utf8")],
      ),

    remove: (path) =>
      write(path, (stillHeld) => `DELETE FROM keyferry.text WHERE path = $1::text AND ${stillHeld}`, []),

    async mark(path) {
      const { rowCount } = await database.query(
        "INSERT INTO keyferry.text (path, content) VALUES ($1, '') ON CONFLICT (path) DO NOTHING",
        [keyOf(path)],
      )
      if (rowCount === 1) return
      throw new KeyferryError("ERR_STATE_WRITE", `${keyOf(path)} is in ${database.place} already`)
    },

    async unmark(path) {
      await database.query("DELETE FROM keyferry.text WHERE path = $1", [keyOf(path)])
    },
  }
}

const keyOf = (path: readonly string[]): string => path.join(SEPARATOR)
