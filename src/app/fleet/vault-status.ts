import {
  type CustodyKeyFinding,
  judgeVault,
  type VaultFinding,
  type VaultHealth,
} from "../../core/records/vault-health.js"
import type { Fleet } from "./fleet.js"
import type { SearchedToken } from "./survey.js"

/** What is wrong with sealed custody, as `status` tells it. */
export interface VaultStatus {
  /** Files of the vault that could be read. */
  readonly sealed: number
  /** Each with the KMS keys that die of it, and when. */
  readonly findings: readonly VaultFinding[]
  readonly custodyKeys: readonly CustodyKeyFinding[]
}

/**
 * Judges the vault by itself, and by each token that was searched: without one it is not known whether custody keys
 * are there, and that they are the right ones.
 */
export async function vaultStatus(fleet: Fleet, tokens: readonly SearchedToken[]): Promise<VaultStatus> {
  const { owner, entries, clock } = fleet
  const vault = await fleet.vault.list()
  const records = await fleet.custodyKeys.list()
  const unreadable = (await fleet.custodyKeys.damaged()).map(({ reason }): CustodyKeyFinding => {
    const hint = "restore that file from a backup; its custody key stays in the token"
    return { severity: "fail", label: null, message: `the record of a custody key cannot be read: ${reason}`, hint }
  })
  const nothingSealed = records.length === 0 && vault.sealed.length === 0 && vault.damaged.length === 0
  if (nothingSealed) return { sealed: 0, findings: [], custodyKeys: unreadable }
  const facts = { owner, entries, vault, records, now: clock.now() }
  const byToken: VaultHealth[] = []
  const tokenObjects = new Set<string>()
  for (const { name, content } of tokens) {
    const objects = [...content.keys.values()].filter(({ custody }) => custody !== "sealed").map(({ id }) => id)
    for (const id of objects) tokenObjects.add(id)
    const custodyKeys = (await (await fleet.tokenOf(name))?.findCustodyKeys(owner)) ?? []
    byToken.push(judgeVault({ ...facts, token: { info: content.info, custodyKeys, objects } }))
  }
  const withoutToken = judgeVault({ ...facts, token: null })
  const blindFindings = withoutToken.findings.filter(
    ({ fault, sourceKeyId }) => fault !== "missing" || !tokenObjects.has(sourceKeyId ?? ""),
  )
  return {
    sealed: vault.sealed.length,
    findings: withoutRepeats([...byToken.flatMap(({ findings }) => findings), ...blindFindings]),
    custodyKeys: withoutRepeats([
      ...unreadable,
      ...[...byToken, withoutToken].flatMap(({ custodyKeys }) => custodyKeys),
    ]),
  }
}

/** Each once: the same is found by every view that it shows in. */
function withoutRepeats<T extends { readonly message: string }>(findings: readonly T[]): readonly T[] {
  return [...new Map(findings.map((finding) => [finding.message, finding])).values()]
}
