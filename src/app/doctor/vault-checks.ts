import { dependentsOf, consequences, judgeVault } from "../../core/records/vault-health.js"
import { openCanary } from "../custody/custody-key.js"
import type { Token } from "../../core/ports/token.js"
import type { Deps } from "../deps.js"
import { assertSame } from "../custody/same-material.js"
import { type CheckedLine, fail, failed, ok, warn } from "./check.js"

export interface VaultDoctor extends Pick<Deps, "inventory" | "vault" | "custodyKeys" | "clock"> {
  readonly owner: string
  /** Whether every sealed key is opened, not the canary alone. */
  readonly deep: boolean
}

/**
 * Custody keys and sealed key material: is the custody key there and as it should be, does its canary open, is a backup
 * confirmed, is every vault file whole and under a custody key that is in the token. `token` is the token itself; null
 * where none could be opened.
 */
export async function examineVault(deps: VaultDoctor, token: Token | null): Promise<readonly CheckedLine[]> {
  try {
    const { owner } = deps
    const view = {
      owner,
      entries: await deps.inventory.list(),
      vault: await deps.vault.list(),
      records: await deps.custodyKeys.list(),
      token: token === null ? null : await sideOf(token, owner),
      now: deps.clock.now(),
    }
    const health = judgeVault(view)
    const lines = [
      ...health.custodyKeys.map(({ severity, message, hint }) =>
        severity === "fail" ? fail("custody-key", message, hint, "DATAERR") : warn("custody-key", message, hint),
      ),
      ...health.findings.map(({ message, hint }) => fail("vault", message, hint, "DATAERR")),
    ]
    if (token !== null && health.inForce === null && lines.length === 0) {
      lines.push(ok("custody-key", "the token has no custody key yet: one is made with the first sealed key"))
    }
    if (health.inForce !== null && health.inForce.backupConfirmedAt !== null) {
      lines.push(
        ok("custody-key", `a backup of ${health.inForce.label} was confirmed on ${health.inForce.backupConfirmedAt}`),
      )
    }
    if (token !== null) {
      lines.push(...(await canaries(token, view)))
      if (deps.deep)
        lines.push(
          ...(await opened(
            token,
            view,
            health.findings.flatMap(({ sourceKeyId }) => sourceKeyId ?? []),
          )),
        )
    }
    if (health.sealed > 0 && health.findings.length === 0) {
      lines.push(
        ok(
          "vault",
          `sealed keys: ${health.sealed}; every file is whole${token === null ? "" : ", under a custody key of this token"}`,
        ),
      )
    }
    return lines
  } catch (error) {
    return [failed("vault", error)]
  }
}

type View = Parameters<typeof judgeVault>[0]

async function sideOf(token: Token, owner: string): Promise<View["token"]> {
  const custodyKeys = await token.findCustodyKeys(owner)
  const objects = (await token.findSourceKeys()).map(({ id }) => id)
  return { info: token.info, custodyKeys, objects }
}

/** The canary proves a custody key, so that not every file has to be opened. */
async function canaries(token: Token, view: View): Promise<readonly CheckedLine[]> {
  const lines: CheckedLine[] = []
  for (const record of view.records) {
    const { id, label } = record
    if (view.token?.custodyKeys.some((key) => key.id === id) !== true) continue
    try {
      await openCanary(token, record)
      lines.push(ok("custody-key", `${label} is in the token, and opens its canary`))
    } catch (error) {
      lines.push(failed("custody-key", error))
    }
  }
  return lines
}

/** Opens every sealed key that nothing was said of yet, and seals it again: the same to the last byte. */
async function opened(token: Token, view: View, faulty: readonly string[]): Promise<readonly CheckedLine[]> {
  const lines: CheckedLine[] = []
  let wholeFiles = 0
  for (const sealed of view.vault.sealed) {
    const isOpenable = view.token?.custodyKeys.some(({ id }) => id === sealed.custodyKey.id) === true
    if (!isOpenable || faulty.includes(sealed.id)) continue
    try {
      await assertSame(token, sealed, sealed)
      wholeFiles += 1
    } catch (error) {
      const line = failed("vault", error)
      const end = consequences(dependentsOf(view.entries, sealed.id), view.now)
      lines.push({ ...line, message: `${sealed.label} (${sealed.id}): ${line.message}: ${end}` })
    }
  }
  return [
    ...lines,
    ok("vault", `${wholeFiles} sealed ${wholeFiles === 1 ? "key" : "keys"} opened, each to what was sealed`),
  ]
}
