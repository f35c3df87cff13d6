import { KeyferryError } from "../../core/base/error.js"
import type { StoredText, TextPath, Texts } from "../records/texts.js"
import type { Database } from "./database.js"
import { type Fences, writeFenced } from "./fence.js"

/** Parts of a path are names of files on the other side too: none has this in it. */
const SEPARATOR = "/"
/** Comes right after the separator: before it are all paths below a folder. */
const AFTER_SEPARATOR = "0"
/** Texts that are asked for together: some MB at most. */
const PAGE = 1000

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
      // from name to name by the index: a folder of folders has few, whatever is in those
      const { rows } = await database.query<{ name: string }>(
        `WITH RECURSIVE step AS (
           (SELECT path FROM keyferry.text WHERE path > $1 AND path < $2 ORDER BY path LIMIT 1)
           UNION ALL
           SELECT (
             SELECT path FROM keyferry.text
               WHERE path >= CASE WHEN strpos(substr(step.path, length($1) + 1), '/') = 0 THEN step.path || E'\\x01'
                               ELSE $1 || split_part(substr(step.path, length($1) + 1), '/', 1) || '${AFTER_SEPARATOR}' END
                 AND path < $2 ORDER BY path LIMIT 1
           ) FROM step WHERE step.path IS NOT NULL
         ) SELECT DISTINCT split_part(substr(path, length($1) + 1), '/', 1) AS name FROM step WHERE path IS NOT NULL`,
        rangeOf(folder),
      )
      // hidden ones are none, and the order is that of names of files
      return rows
        .map(({ name }) => name)
        .filter((name) => !name.startsWith("."))
        .sort()
    },

    async *below(folder, depth) {
      const [start, end] = rangeOf(folder)
      for (let last = start; ;) {
        const { rows } = await database.query<{ path: string }>(
          `SELECT path FROM keyferry.text WHERE path > $1 AND path < $2
             AND cardinality(string_to_array(path, '/')) = $3 ORDER BY path LIMIT ${PAGE}`,
          [last, end, folder.length + depth],
        )
        const paths = rows.map(({ path }) => path)
        yield* pageOf(database, paths, folder.length)
        last = paths.at(-1) ?? ""
        if (paths.length < PAGE) return
      }
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

/** Of a page, whose contents are read together once the first is read. Hidden ones are none. */
function* pageOf(database: Database, paths: readonly string[], folderLength: number): Iterable<StoredText> {
  const readPage = async (): Promise<ReadonlyMap<string, string>> => {
    const { rows } = await database.query<{ path: string; content: Buffer }>(
      "SELECT path, content FROM keyferry.text WHERE path = ANY($1::text[])",
      [paths],
    )
    return new Map(rows.map(({ path, content }) => [path, content.toString("utf8")]))
  }
  let contents: ReturnType<typeof readPage> | undefined
  for (const key of paths) {
    const path = key.split(SEPARATOR) as [string, ...string[]]
    if (path.slice(folderLength).some((name) => name.startsWith("."))) continue
    yield { path, read: async () => (await (contents ??= readPage())).get(key) }
  }
}

/** Between which all paths below a folder are. */
const rangeOf = (folder: TextPath): readonly [string, string] => [
  `${keyOf(folder)}${SEPARATOR}`,
  `${keyOf(folder)}${AFTER_SEPARATOR}`,
]

const keyOf = (path: readonly string[]): string => path.join(SEPARATOR)
