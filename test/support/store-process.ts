import { systemClock } from "#src/host/clock.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { custodyLogTable } from "#src/store/postgres/custody-log-table.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"

/**
 * Writes to a store until it is killed, and says each write once it is durable:
 * `node store-process.js log|text files|rows FOLDER|URL WORD`.
 */
const [, , action = "", kind = "", place = "", word = ""] = process.argv

const database = kind === "rows" ? openDatabase({ url: place }, "keyferry test") : null
const texts = database === null ? fileTexts(place) : rowTexts(database)
const log = database === null ? custodyLogFile(place, systemClock) : custodyLogTable(database, systemClock)

for (let number = 1; ; number += 1) {
  const name = `${word}${number}`
  if (action === "log") await log.append({ event: "source.generated", name, facts: { number } })
  else await texts.put(["agent", "long.json"], `${String(number).repeat(100_000)}end`)
  process.stdout.write(`${name}\n`)
}
