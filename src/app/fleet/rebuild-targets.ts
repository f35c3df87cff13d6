import { KeyferryError } from "../../core/base/error.js"
import { type ExitName, worstExit } from "../../core/base/exit-code.js"
import { exitOf } from "../../core/plan/row.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import type { Deps } from "../deps.js"
import { rebuild, type RebuildDeps, type Rebuilding, type RebuildRequest } from "./rebuild.js"

/** A target of which the inventory is to be rebuilt. */
export interface RebuildPlace {
  readonly target: string
  /** KMS of the target. @throws ERR_KMS_* */
  readonly open: () => Promise<Pick<Deps, "kms" | "kmsIn">>
  /** Whether the configuration gives the name to another of the targets alone. */
  readonly isElsewhere: (name: string) => boolean
}

export interface RebuildPlaces {
  readonly state: Omit<RebuildDeps, "kms" | "kmsIn" | "tokens">
  readonly targets: readonly RebuildPlace[]
  /** How the configuration wants a name's key imported; null where it does not name it. */
  readonly termsOf?: RebuildRequest["termsOf"]
  readonly keysOfOthers?: RebuildRequest["keysOfOthers"]
  /** Each opened when it is first asked for; what cannot be opened is not looked at. */
  readonly tokens: readonly { readonly name: string | null; readonly open: () => Promise<CustodialToken | null> }[]
}

/**
 * The inventory of several targets anew, from all tokens. A target or a token that cannot be reached does not stop the
 * others: it is named, and decides the exit status.
 *
 * @throws what the only target, or the only token, is not reached for
 */
export async function rebuildTargets(
  { state, targets, tokens, termsOf = () => null, keysOfOthers = new Map<never, never>() }: RebuildPlaces,
  { owner, overwrite }: { readonly owner: string; readonly overwrite: boolean },
): Promise<Rebuilding & { readonly exit: ExitName }> {
  const unseen: string[] = []
  const exits: ExitName[] = []
  const opened: CustodialToken[] = []
  /** Undefined where it failed and there are others to go on with. */
  const attempt = async <T>(label: string, isOnly: boolean, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      if (isOnly || !(error instanceof KeyferryError) || error.exit === "IOERR") throw error
      unseen.push(`${label}: ${error.message} [${error.code}]`)
      exits.push(error.exit)
      return undefined
    }
  }
  for (const { name, open } of tokens) {
    const token = await attempt(`token ${name ?? ""}`, tokens.length === 1, open)
    if (token != null) opened.push(token)
  }
  const keys: Rebuilding["keys"][number][] = []
  const unclaimed = new Map<string, Rebuilding["unclaimed"][number]>()
  const claimed = new Set<string>()
  for (const { target, open, isElsewhere } of targets) {
    const rebuilt = await attempt(`target ${target}`, targets.length === 1, async () => {
      const { kms, kmsIn } = await open()
      const isOwnName = (name: string): boolean => !isElsewhere(name)
      return await rebuild(
        { ...state, kms, kmsIn, tokens: opened },
        { owner, target, overwrite, claimed, isOwnName, termsOf, keysOfOthers },
      )
    })
    if (rebuilt === undefined) continue
    keys.push(...rebuilt.keys)
    unseen.push(...rebuilt.unseen.filter((text) => !unseen.includes(text)))
    // what one target has claimed is no longer unclaimed of those before
    unclaimed.clear()
    for (const source of rebuilt.unclaimed) unclaimed.set(source.id, source)
  }
  return { keys, unclaimed: [...unclaimed.values()], unseen, exit: worstExit([...exits, exitOf(keys)]) }
}
