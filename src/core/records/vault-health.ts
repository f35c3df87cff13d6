import { type AttributeFinding, findingsText } from "../key/custody.js"
import { generationsOf, importOf, type InventoryEntry, keysOf, type SourceKeyRecord } from "./inventory.js"
import type { KeyAttributes } from "../key/key-attributes.js"
import type { CustodyKey, CustodyKeyRecord, DamagedMaterial, SealedMaterial } from "./sealed-material.js"
import { sameToken, type TokenInfo } from "../token/token-info.js"

/** What the state directory holds of sealed custody, and what the token at hand adds; judged without opening anything. */
export interface VaultView {
  readonly owner: string
  readonly entries: readonly InventoryEntry[]
  readonly vault: { readonly sealed: readonly SealedMaterial[]; readonly damaged: readonly DamagedMaterial[] }
  readonly records: readonly CustodyKeyRecord[]
  /** Null where no token was asked. */
  readonly token: {
    readonly info: TokenInfo
    readonly custodyKeys: readonly CustodyKey[]
    /** CKA_IDs of the source keys that are objects of the token. */
    readonly objects: readonly string[]
  } | null
  readonly now: Date
}

/** A KMS key that holds a generation of key material, and until when. */
export interface Dependent {
  readonly name: string
  readonly target: string
  readonly keyArn: string
  readonly generation: number
  /** Whether an import of the generation into it is recorded, or may have happened. */
  readonly imported: boolean
  /** RFC 3339 UTC; null for never. */
  readonly validTo: string | null
}

/** What is wrong with sealed key material, and what dies of it. */
export interface VaultFinding {
  readonly fault: VaultFault
  readonly name: string | null
  /** CKA_ID of the source key, hex. */
  readonly sourceKeyId: string | null
  readonly dependents: readonly Dependent[]
  /** What is wrong, then each KMS key with its end, in words. */
  readonly message: string
  readonly hint: string
}

const HINTS = {
  /** An entry of the inventory has no file. */
  missing: "restore the vault file from a backup of the state directory",
  /** The file is not what was written: a flipped bit, another name, not readable. */
  damaged: "restore the vault file from a backup of the state directory",
  /** The custody key that it was sealed under is not in the token. */
  "custody-key-missing": "restore the custody key from the token's backup",
  /** The token's key of that ID has another check value. */
  "custody-key-differs": "restore the right custody key from the token's backup: this one has its ID and another value",
  /** The file's check value or public key is not the one that was recorded when the key was made. */
  "material-differs": "restore the vault file that belongs to this inventory from a backup of the state directory",
} as const satisfies Record<string, string>

export type VaultFault = keyof typeof HINTS

/** A fault of a custody key itself. */
export interface CustodyKeyFinding {
  readonly severity: "warn" | "fail"
  /** Of the custody key; null where its record does not tell it. */
  readonly label: string | null
  readonly message: string
  readonly hint: string
}

export interface VaultHealth {
  readonly findings: readonly VaultFinding[]
  readonly custodyKeys: readonly CustodyKeyFinding[]
  /** Of the custody key in force, where one is known. */
  readonly inForce: { readonly id: string; readonly label: string; readonly backupConfirmedAt: string | null } | null
  /** Sealed keys of this token, or of all where no token was asked. */
  readonly sealed: number
}

/** Judges every sealed key and custody key: pure, by digests, IDs and check values. */
export function judgeVault(view: VaultView): VaultHealth {
  const entries = view.entries.filter(({ owner }) => owner === view.owner)
  const ownSealed = view.vault.sealed.filter((sealed) => sealed.owner === view.owner && isWithin(view, sealed))
  const losses = { dependents: dependentsById(entries), now: view.now }
  const recorded = recordedById(entries)
  return {
    findings: [
      ...missingMaterial(view, entries, losses),
      ...view.vault.damaged.map((damaged) => damagedFinding(damaged, losses)),
      ...ownSealed.flatMap(
        (sealed) => sealedFinding(view, sealed, { recorded: recorded.get(sealed.id), losses }) ?? [],
      ),
    ],
    custodyKeys: custodyKeyFindings(view),
    inForce: inForce(view),
    sealed: ownSealed.length,
  }
}

/** KMS keys that hold key material by its source key's CKA_ID: also in other Regions, replaced ones, and those being made. */
export function dependentsOf(entries: readonly InventoryEntry[], sourceKeyId: string): readonly Dependent[] {
  return entries.flatMap(keptAlive).flatMap((entry) =>
    generationsOf(entry)
      .filter(({ id }) => id === sourceKeyId)
      .flatMap(({ generation }) => dependentsOn(entry, generation)),
  )
}

function dependentsOn(entry: InventoryEntry, generation: number): readonly Dependent[] {
  return keysOf(entry).map(({ region, keyArn }) => {
    const record = importOf(entry, generation, region) ?? perhaps(entry, generation, region)
    const { name, target } = entry
    return { name, target, keyArn, generation, imported: record !== null, validTo: record?.validTo ?? null }
  })
}

/** What is lost with a source key, by its CKA_ID: read once for all, since a whole vault may be lost. */
interface Losses {
  readonly dependents: ReadonlyMap<string, readonly Dependent[]>
  readonly now: Date
}

function dependentsById(entries: readonly InventoryEntry[]): Losses["dependents"] {
  const dependents = new Map<string, Dependent[]>()
  for (const entry of entries.flatMap(keptAlive)) {
    for (const { id, generation } of generationsOf(entry)) {
      const sameSource = dependents.get(id) ?? []
      dependents.set(id, sameSource)
      sameSource.push(...dependentsOn(entry, generation))
    }
  }
  return dependents
}

/** The first record of each CKA_ID. */
function recordedById(entries: readonly InventoryEntry[]): ReadonlyMap<string, SourceKeyRecord> {
  const records = entries.flatMap(keptAlive).flatMap(generationsOf)
  return new Map(records.toReversed().map((source) => [source.id, source]))
}

/** Every KMS key that dies without the material, with its end, in words. */
export function consequences(dependents: readonly Dependent[], now: Date): string {
  const losing = dependents.filter(({ imported }) => imported)
  if (losing.length === 0) return "no KMS key of this state directory has its material from it"
  return losing
    .map(({ keyArn, validTo }) => {
      if (validTo === null) return `KMS key ${keyArn} could not get its material back after a loss`
      if (new Date(validTo) <= now) return `KMS key ${keyArn} lost its material on ${validTo} and cannot get it back`
      return `KMS key ${keyArn} loses its material on ${validTo} and cannot be renewed`
    })
    .join("; ")
}

const CUSTODY_KEY: Partial<Readonly<Record<keyof KeyAttributes, boolean>>> = {
  token: true,
  private: true,
  sensitive: true,
  extractable: false,
  wrap: true,
  unwrap: true,
  encrypt: false,
  decrypt: false,
  sign: false,
  verify: false,
  derive: false,
}

/** Compares a custody key's attributes with what sealed custody stands on (docs/custody.md, invariant I2). */
export function assessCustodyKey(attributes: KeyAttributes): readonly AttributeFinding[] {
  return (Object.entries(CUSTODY_KEY) as [keyof KeyAttributes, boolean][]).flatMap(([attribute, expected]) => {
    const actual = attributes[attribute] as boolean | null
    return actual === expected ? [] : [{ attribute, expected, actual }]
  })
}

/** An entry with the ones inside it that are still kept alive. */
function keptAlive(entry: InventoryEntry): readonly InventoryEntry[] {
  const former = entry.former.filter(({ retiredAt }) => retiredAt === null)
  return [entry, ...(entry.replacement === null ? [] : [entry.replacement]), ...former]
}

/** An import that was under way is taken for done: what may be lost counts. */
function perhaps({ importing }: InventoryEntry, generation: number, region: string) {
  return importing?.generation === generation && importing.region === region ? importing : null
}

function missingMaterial(view: VaultView, entries: readonly InventoryEntry[], losses: Losses): readonly VaultFinding[] {
  const { vault, token, records } = view
  const presentIds = new Set([
    ...vault.sealed.map(({ id }) => id),
    ...vault.damaged.flatMap(({ id }) => id ?? []),
    ...(token?.objects ?? []),
  ])
  // a host that only imports has entries of sealed keys whose vault is elsewhere
  const tokens = token === null ? records.map((record) => record.token) : [token.info]
  const sealedEntries = entries
    .flatMap(keptAlive)
    .filter((entry) => entry.custody === "sealed" && tokens.some((info) => isToken(info, entry.token)))
    .flatMap((entry) => generationsOf(entry).map((source) => ({ name: entry.name, source })))
    .filter(({ source }) => source.attributes !== null && !presentIds.has(source.id))
  return [...new Map(sealedEntries.map((entry) => [entry.source.id, entry])).values()].map(({ name, source }) =>
    finding("missing", { name, id: source.id }, `the vault has no file of ${ofKey(name, source)}`, losses),
  )
}

function damagedFinding({ path, name, id, reason }: DamagedMaterial, losses: Losses) {
  return finding("damaged", { name, id }, `${path} of the vault is damaged: ${reason}`, losses)
}

/** Undefined where nothing is wrong. */
function sealedFinding(
  view: VaultView,
  sealed: SealedMaterial,
  { recorded, losses }: { readonly recorded: SourceKeyRecord | undefined; readonly losses: Losses },
) {
  const subject = ofKey(sealed.name, sealed)
  const findingOf = (fault: VaultFault, text: string): VaultFinding => finding(fault, sealed, text, losses)
  if (recorded !== undefined && differs(recorded.kcv, sealed.provenance.kcv)) {
    return findingOf("material-differs", `the vault's file of ${subject} holds other key material than was recorded`)
  }
  if (view.token === null) return undefined
  const { id, label, kcv } = sealed.custodyKey
  const key = view.token.custodyKeys.find((custodyKey) => custodyKey.id === id)
  if (key === undefined) {
    return findingOf(
      "custody-key-missing",
      `${subject} is sealed under the custody key ${label} (${id}), which is not in the token`,
    )
  }
  if (!differs(key.kcv, kcv)) return undefined
  return findingOf(
    "custody-key-differs",
    `${subject} is sealed under the custody key ${label} with check value ${kcv ?? ""}; the token's has ${key.kcv ?? ""}`,
  )
}

function finding(
  fault: VaultFault,
  { name, id }: { readonly name: string | null; readonly id: string | null },
  text: string,
  losses: Losses,
): VaultFinding {
  const dependents = id === null ? [] : (losses.dependents.get(id) ?? [])
  const message = `${text}: ${consequences(dependents, losses.now)}`
  return { fault, name, sourceKeyId: id, dependents, message, hint: HINTS[fault] }
}

function custodyKeyFindings({ owner, records, token, vault }: VaultView): readonly CustodyKeyFinding[] {
  const ownRecords = records.filter((record) => record.owner === owner)
  const fail = ({ label }: { readonly label: string }, message: string, hint: string): CustodyKeyFinding => ({
    severity: "fail",
    label,
    message,
    hint,
  })
  if (token === null) return ownRecords.flatMap((record) => unconfirmed(record))
  const judged = token.custodyKeys.flatMap((key): readonly CustodyKeyFinding[] => {
    const wrong = assessCustodyKey(key.attributes)
    const record = ownRecords.find(({ id }) => id === key.id)
    return [
      ...(wrong.length === 0
        ? []
        : [
            fail(
              key,
              `the custody key ${key.label} (${key.id}) of token "${token.info.label}": ${findingsText(wrong)}`,
              REPLACE,
            ),
          ]),
      ...(record === undefined ? [unrecorded(key, token.info.label)] : unconfirmed(record)),
      ...(record !== undefined && differs(record.kcv, key.kcv)
        ? [
            fail(
              key,
              `the custody key ${key.label} (${key.id}) of token "${token.info.label}" has another check value than when it was made`,
              HINTS["custody-key-differs"],
            ),
          ]
        : []),
    ]
  })
  const gone = ownRecords.filter(
    (record) => isToken(token.info, record.token) && token.custodyKeys.every(({ id }) => id !== record.id),
  )
  return [
    ...judged,
    ...gone.map((record): CustodyKeyFinding => {
      const { id, label } = record
      const sealedCount = vault.sealed.filter((sealed) => sealed.custodyKey.id === id).length
      if (sealedCount === 0)
        return {
          severity: "warn",
          label,
          message: `the custody key ${label} (${id}) is not in token "${token.info.label}" any more; nothing is sealed under it`,
          hint: CLEAR,
        }
      return fail(
        record,
        `the custody key ${label} (${id}) is not in token "${token.info.label}"; sealed keys that are lost without it: ${sealedCount}`,
        RESTORE,
      )
    }),
  ]
}

const REPLACE = "reseal everything under a new one: `keyferry key reseal --all --new-custody-key`"
const RESTORE = "restore the token from its backup: no sealed key can be imported again before"
const CLEAR = "nothing is to be done"

/** Whoever loses a custody key loses every key that is sealed under it, at its next expiry. */
function unconfirmed({ label, id, token, backupConfirmedAt }: CustodyKeyRecord): readonly CustodyKeyFinding[] {
  if (backupConfirmedAt !== null) return []
  const message = `no backup of the custody key ${label} (${id}) of token "${token.label}" is confirmed: if the token is lost, every key sealed under it dies at its next expiry`
  const hint = `back the token up by the vendor's tool, then run \`keyferry key backup-confirmed --custody-key ${id}\``
  return [{ severity: "warn", label, message, hint }]
}

function unrecorded({ label, id }: CustodyKey, tokenLabel: string): CustodyKeyFinding {
  const message = `the custody key ${label} (${id}) of token "${tokenLabel}" is not recorded in this state directory, so nothing shows whether it opens anything`
  const hint =
    "another state directory may have made it; `keyferry key reseal --all --new-custody-key` makes one that is recorded"
  return { severity: "warn", label, message, hint }
}

function inForce({ owner, records, token }: VaultView): VaultHealth["inForce"] {
  const newest = token === null ? records.filter((record) => record.owner === owner).at(-1) : token.custodyKeys.at(-1)
  if (newest === undefined) return null
  const { id, label } = newest
  return { id, label, backupConfirmedAt: records.find((record) => record.id === id)?.backupConfirmedAt ?? null }
}

/** Material of another token is not judged by this one, unless a restored copy of its custody key is here. */
function isWithin({ token }: VaultView, sealed: SealedMaterial): boolean {
  if (token === null || isToken(token.info, sealed.token)) return true
  return token.custodyKeys.some(({ id }) => id === sealed.custodyKey.id)
}

const isToken = (a: TokenInfo, b: TokenInfo | null): boolean => b !== null && sameToken(a, b)

/** Whether both are known and not the same. */
const differs = (a: string | null, b: string | null): boolean => a !== null && b !== null && a !== b

const ofKey = (name: string, { id, generation }: Pick<SourceKeyRecord, "id" | "generation">): string =>
  `the sealed key ${name}, generation ${generation} (${id})`
