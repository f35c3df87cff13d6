/** The inventory of keyferry 0.1.0: version 1 of the format, as far as it differs. */

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * An entry of version 1 as version 2 writes it, the entries inside it too: what 0.1.0 left out where it did not apply is
 * written out. Anything else comes back as it is: the schema of version 2 judges it.
 */
export function upgradedEntry(value: unknown): unknown {
  if (!isFields(value) || value["version"] !== 1) return value
  const { replicas, former, imports, importing, ...entry } = value
  // its first files had one Region only, and did not name it in each import
  const regional = (record: unknown): unknown =>
    isFields(record) ? { ...record, region: record["region"] ?? entry["region"] } : record
  const replica = (record: unknown): unknown => (isFields(record) ? { aliasGiven: false, ...record } : record)
  const each = (list: unknown, change: (member: unknown) => unknown): unknown =>
    Array.isArray(list) ? list.map(change) : (list ?? [])
  return {
    unenforced: null,
    aliasGiven: false,
    earlier: [],
    rotating: false,
    withheldAt: null,
    terms: null,
    ...entry,
    version: 2,
    importing: regional(importing),
    imports: each(imports, regional),
    replicas: each(replicas, replica),
    replacement: upgradedEntry(value["replacement"] ?? null),
    former: each(former, upgradedEntry),
  }
}
