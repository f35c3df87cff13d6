import {
  type CustodyKeyFinding,
  judgeVault,
  type VaultFinding,
  type VaultHealth,
} from "../../core/records/vault-health.js"
import type { Fleet } from "./fleet.js"
import type { TokenContent } from "./source-index.js"

/** What is wrong with sealed custody, as `status` tells it. */
export interface VaultStatus {
  /** Files of the vault that could be read. */
  readonly sealed: number
  /** Each with the KMS keys that die of it, and when. */
  readonly findings: readonly VaultFinding[]
  readonly custodyKeys: readonly CustodyKeyFinding[]
}

/** A token that was looked at: the manifest's name, or null for the one that flags give. */
export interface SeenToken {
  readonly name: string | null
  readonly content: TokenContent
}

/**
 * Judges the vault by itself, and by each token that was looked at: without one it is not known whether custody keys
 * are there, and that they are the right ones.
 */
export async function vaultStatus(fleet: Fleet, tokens: readonly SeenToken[]): Promise<VaultStatus> {
  const { owner, entries, clock } = fleet
  const vault = await fleet.vault.list()
  const records = await fleet.custodyKeys.list()
  const view = { owner, entries, vault, records, now: clock.now() }
  const nothingSealed = records.length === 0 && vault.sealed.length === 0 && vault.damaged.length === 0
  if (nothingSealed) return { sealed: 0, findings: [], custodyKeys: [] }
  const seen: VaultHealth[] = []
  const objects = new Set<string>()
  for (const { name, content } of tokens) {
    const own = [...content.keys.values()].filter(({ custody }) => custody !== "sealed").map(({ id }) => id)
    for (const id of own) objects.add(id)
    const custodyKeys = (await (await fleet.tokenOf(name))?.findCustodyKeys(owner)) ?? []
    seen.push(judgeVault({ ...view, token: { info: content.info, custodyKeys, objects: own } }))
  }
  const blind = judgeVault({ ...view, token: null })
  const elsewhere = blind.findings.filter(
    ({ fault, sourceKeyId }) => fault !== "missing" || !objects.has(sourceKeyId ?? ""),
  )
  return {
    sealed: vault.sealed.length,
    findings: unlike([...seen.flatMap(({ findings }) => findings), ...elsewhere]),
    custodyKeys: unlike([...seen, blind].flatMap(({ custodyKeys }) => custodyKeys)),
  }
}

/** Each once: the same is found by every view that it shows in. */
function unlike<T extends { readonly message: string }>(findings: readonly T[]): readonly T[] {
  return [...new Map(findings.map((one) => [one.message, one])).values()]
}
