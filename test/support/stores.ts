import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { Clock } from "#src/core/ports/clock.js"
import type { CustodyLog } from "#src/core/ports/custody-log.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { custodyLines } from "#src/store/files/custody-log-reader.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { keyHistories } from "#src/store/files/key-history.js"
import { custodyLogTable, logPages } from "#src/store/postgres/custody-log-table.js"
import { type Database, openDatabase } from "#src/store/postgres/database.js"
import { keyHistories as keyHistoriesInRows } from "#src/store/postgres/key-history-rows.js"
import { migrate } from "#src/store/postgres/migrations.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import type { KeyHistoryLine } from "#src/store/records/history-line.js"
import type { Texts } from "#src/store/records/texts.js"
import { type PostgresServer, startPostgres } from "#test/support/postgres.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

/** A place of the state, empty at the beginning of each test. Each call of it gives an adapter that has seen nothing yet. */
export interface Store {
  /** What another process opens it by. */
  readonly place: string
  texts(): Texts
  log(clock: Pick<Clock, "now">): CustodyLog
  histories(names: ReadonlySet<string>, limit: number): Promise<ReadonlyMap<string, readonly KeyHistoryLine[]>>
  /** Lines of the custody log as they are stored. */
  lines(): Promise<readonly string[]>
  /** Puts a text there by hand. */
  plant(path: readonly string[], text: string): Promise<void>
  /** Changes a line of the custody log by hand. */
  alterLine(from: string, to: string): Promise<void>
}

export const STORE_KINDS = ["files", "rows"] as const

/** The store of a kind for each test of the calling suite. */
export function storeOf(kind: (typeof STORE_KINDS)[number]): () => Store {
  return kind === "files" ? inFiles() : inRows()
}

function inFiles(): () => Store {
  const folder = temporaryFolder()
  const plant = async (path: readonly string[], text: string): Promise<void> => {
    const file = join(folder(), ...path)
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, text, { mode: 0o600 })
  }
  return () => ({
    place: folder(),
    texts: () => fileTexts(folder()),
    log: (clock) => custodyLogFile(folder(), clock),
    histories: (names, limit) => keyHistories(folder(), names, limit),
    lines: () => Promise.resolve([...custodyLines(folder())]),
    plant,
    async alterLine(from, to) {
      const lines = [...custodyLines(folder())].map((line) => line.replace(from, to))
      await plant(["custody.log.jsonl"], `${lines.join("\n")}\n`)
    },
  })
}

function inRows(): () => Store {
  let server: PostgresServer
  let place = ""
  let opened: Database[] = []
  const open = (): Database => {
    const database = openDatabase({ url: place }, "keyferry test")
    opened.push(database)
    return database
  }
  before(async () => {
    server = await startPostgres()
    place = await server.createDatabase("kept")
    await migrate(open())
  })
  beforeEach(() => void server.sql("kept", "TRUNCATE keyferry.text, keyferry.custody_log"))
  afterEach(async () => {
    for (const database of opened) await database[Symbol.asyncDispose]()
    opened = []
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })
  return () => ({
    place,
    texts: () => rowTexts(open()),
    log: (clock) => custodyLogTable(open(), clock),
    histories: (names, limit) => keyHistoriesInRows(open(), names, limit),
    async lines() {
      const lines: string[] = []
      for await (const page of logPages(open())) lines.push(...page.map(({ line }) => line))
      return lines
    },
    async plant(path, text) {
      const content = Buffer.from(text, "utf8")
      await open().query(
        "INSERT INTO keyferry.text VALUES ($1, $2) ON CONFLICT (path) DO UPDATE SET content = excluded.content",
        [path.join("/"), content],
      )
    },
    async alterLine(from, to) {
      await open().query("UPDATE keyferry.custody_log SET line = replace(line, $1, $2)", [from, to])
    },
  })
}
