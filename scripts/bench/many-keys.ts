import { randomBytes, randomUUID } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { labelOf, newSourceKeyId } from "#src/core/key/source-key.js"
import { sealLine } from "#src/core/records/custody-chain.js"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import type { StoredSet } from "#src/local-kms/state/journal.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { logEnd } from "#src/store/postgres/custody-log-table.js"
import type { Database } from "#src/store/postgres/database.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import type { TextPath, Texts } from "#src/store/records/texts.js"
import { storedVault } from "#src/store/records/vault.js"

/** Rows of one statement. */
const AT_ONCE = 2000

/** What a clone of a key is made of, besides its name. */
interface Clone {
  readonly name: string
  readonly id: string
  readonly label: string
  readonly requestId: string
  readonly keyId: string
  readonly keyMaterialId: string
}

/**
 * Repeats a key that keyferry has provisioned until there are as many as names: its rows in the database, each text as the adapters
 * write it, its lines of the custody log, and the KMS key in the state file of a local KMS that is not running.
 *
 * @param kmsFile of the local KMS
 */
export async function repeatKey(
  database: Database,
  kmsFile: string,
  {
    name,
    owner,
    target,
    names,
  }: { readonly name: string; readonly owner: string; readonly target: string; readonly names: readonly string[] },
): Promise<void> {
  const texts = rowTexts(database)
  const entry = await storedInventory(texts).get(name, target)
  const sealed = entry && (await storedVault(texts).get(entry.source.id))
  const [record] = entry?.imports ?? []
  if (entry?.keyArn == null || sealed === undefined || record === undefined)
    throw new Error(`${name} is not provisioned`)
  const set = lastSetOf(kmsFile)
  const events = await eventsOf(database, name)
  const rows: { readonly path: TextPath; readonly text: string }[] = []
  const collecting: Texts = {
    ...texts,
    put: (path, text) => {
      rows.push({ path, text })
      return Promise.resolve()
    },
  }
  const [inventory, vault] = [storedInventory(collecting), storedVault(collecting)]
  let lines: string[] = []
  for (let start = 0; start < names.length; start += AT_ONCE) {
    const clones = names.slice(start, start + AT_ONCE).map((cloneName) => cloneOf(cloneName, owner))
    for (const clone of clones) {
      const { id, label, requestId, keyMaterialId } = clone
      const keyArn = entry.keyArn.replace(/[^/]+$/, clone.keyId)
      const source = { ...entry.source, id, label }
      await inventory.put({
        ...entry,
        name: clone.name,
        requestId,
        keyArn,
        source,
        imports: [{ ...record, keyMaterialId }],
      })
      await vault.put({ ...sealed, name: clone.name, id, label })
      lines.push(`${JSON.stringify({ set: setOf(set, clone) })}\n`)
    }
    writeFileSync(kmsFile, lines.join(""), { flag: "a" })
    lines = []
    await database.query("INSERT INTO keyferry.text (path, content) SELECT * FROM unnest($1::text[], $2::bytea[])", [
      rows.map(({ path }) => path.join("/")),
      rows.map(({ text }) => Buffer.from(text)),
    ])
    rows.length = 0
    await appendEvents(
      database,
      clones.flatMap((clone) => events.map((event) => ({ ...event, name: clone.name }))),
    )
  }
}

function cloneOf(name: string, owner: string): Clone {
  return {
    name,
    id: newSourceKeyId(),
    label: labelOf({ owner, name, generation: 0 }),
    requestId: randomUUID(),
    keyId: randomUUID(),
    keyMaterialId: randomBytes(32).toString("hex"),
  }
}

function lastSetOf(kmsFile: string): StoredSet {
  const line = readFileSync(kmsFile, "utf8")
    .trimEnd()
    .split("\n")
    .findLast((text) => text.startsWith('{"set"'))
  return (JSON.parse(line ?? "") as { readonly set: StoredSet }).set
}

function setOf(set: StoredSet, { name, id, requestId, keyId, keyMaterialId }: Clone): StoredSet {
  const values: Readonly<Record<string, string>> = {
    "keyferry:name": name,
    "keyferry:source": id,
    "keyferry:request": requestId,
  }
  return {
    ...set,
    id: keyId,
    materials: set.materials.map((material) => ({ ...material, id: keyMaterialId })),
    keys: set.keys.map((key) => ({
      ...key,
      tags: key.tags.map(({ TagKey, TagValue }) => ({ TagKey, TagValue: values[TagKey] ?? TagValue })),
      holdings: key.holdings.map(([, holding]) => [keyMaterialId, holding] as const),
    })),
  }
}

async function eventsOf(database: Database, name: string): Promise<readonly CustodyEvent[]> {
  const { rows } = await database.query<{ line: string }>(
    "SELECT line FROM keyferry.custody_log WHERE name = $1 ORDER BY seq",
    [name],
  )
  return rows.map(({ line }) => {
    const fields = Object.entries(JSON.parse(line) as object).filter(([field]) => !SEALED.has(field))
    return Object.fromEntries(fields) as unknown as CustodyEvent
  })
}

/** What `sealLine` adds to an event. */
const SEALED: ReadonlySet<string> = new Set(["seq", "time", "previous", "hash"])

async function appendEvents(database: Database, events: readonly CustodyEvent[]): Promise<void> {
  let end = await logEnd(database)
  const columns: { seq: number[]; hash: string[]; previous: string[]; name: (string | null)[]; line: string[] } = {
    seq: [],
    hash: [],
    previous: [],
    name: [],
    line: [],
  }
  const time = new Date().toISOString()
  for (const event of events) {
    const { hash: previous } = end
    const line = sealLine(end, time, event)
    end = line.end
    columns.seq.push(end.seq)
    columns.hash.push(end.hash)
    columns.previous.push(previous)
    columns.name.push(event.name ?? null)
    columns.line.push(line.text)
  }
  await database.query(
    `INSERT INTO keyferry.custody_log (seq, hash, previous, name, part, line)
       SELECT seq, hash, previous, name, '${CUSTODY_LOG}', line
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new (seq, hash, previous, name, line)`,
    [columns.seq, columns.hash, columns.previous, columns.name, columns.line],
  )
}
