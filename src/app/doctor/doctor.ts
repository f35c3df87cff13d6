import type { Clock } from "../../core/ports/clock.js"
import type { Kms } from "../../core/ports/kms.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import { refuseOtherAccount } from "../kms-key/account.js"
import { kmsSide, type Leftover, listKeys } from "../source-key/list.js"
import { type CheckedLine, fail, failed, ok, warn } from "./check.js"
import { examineKms } from "./kms-checks.js"
import { examineToken, type TokenDoor } from "./token-checks.js"
import { examineVault, type VaultDoctor } from "./vault-checks.js"

export interface DoctorDeps extends VaultDoctor {
  /** What is known of the configuration file; empty without one. */
  readonly config: readonly CheckedLine[]
  /** The tokens that are named; names are those of the configuration file. */
  readonly doors: readonly { readonly name: string | null; readonly door: TokenDoor }[]
  /** Opens KMS of each target; throws ERR_KMS_REGION_MISSING where no Region was named. */
  readonly targets: readonly DoctorTarget[]
  /** What the process and its folders show: settled at the edge, reported here. */
  readonly surroundings: () => Promise<readonly CheckedLine[]>
}

interface DoctorTarget {
  readonly name: string | null
  /** As the inventory calls it; null where that is the name of its Region. */
  readonly inventoryName: string | null
  readonly openKms: () => Promise<Kms>
  readonly clock: Clock
}

/** Runs every check that can be made, and says of the others why not. */
export async function examine(deps: DoctorDeps): Promise<readonly CheckedLine[]> {
  const lines: CheckedLine[] = [...deps.config]
  const tokens: { name: string | null; token: CustodialToken }[] = []
  if (deps.doors.length === 0) lines.push(...(await examineToken(null)).lines)
  for (const { name, door } of deps.doors) {
    const examined = await examineToken(door)
    lines.push(...examined.lines.map((line) => lineOf(name, line)))
    if (examined.token !== null) tokens.push({ name, token: examined.token })
  }
  // KMS first, which tells the time
  const kmsLines: CheckedLine[] = []
  for (const { name, inventoryName, openKms, clock } of deps.targets) {
    const refuseAccount = async (kms: Kms): Promise<void> => {
      const target = inventoryName ?? kms.region
      await refuseOtherAccount(deps, { owner: deps.owner, name: null, target }, () => kms.callersAccount())
    }
    kmsLines.push(...(await examineKms(openKms, clock, refuseAccount)).map((line) => lineOf(name, line)))
  }
  lines.push(...(await examineVaults(deps, tokens)), ...kmsLines)
  lines.push(...(await deps.surroundings()))
  if (tokens.length === 0) lines.push(...(await examineLeftovers(deps, null)))
  for (const { name, token } of tokens) {
    lines.push(...(await examineLeftovers(deps, token)).map((line) => lineOf(name, line)))
  }
  return lines
}

/** The vault as each token sees it; what is wrong with a file whatever the token is said once. */
async function examineVaults(
  deps: VaultDoctor,
  tokens: readonly { readonly name: string | null; readonly token: CustodialToken }[],
): Promise<readonly CheckedLine[]> {
  if (tokens.length === 0) return await examineVault(deps, null)
  const lines: CheckedLine[] = []
  const printed = new Set<string>()
  for (const { name, token } of tokens) {
    const vault = await examineVault(deps, token.hsm)
    const fresh = vault.filter(({ status, message }) => status !== "fail" || !printed.has(message))
    for (const { message } of vault) printed.add(message)
    lines.push(...fresh.map((line) => lineOf(name, line)))
  }
  return lines
}

/** Whose line it is, where there are several. */
const lineOf = (name: string | null, line: CheckedLine): CheckedLine =>
  name === null ? line : { ...line, message: `${name}: ${line.message}` }

/** What stopped runs left, in the inventory and in the token, and source keys that KMS keys miss. */
async function examineLeftovers(deps: DoctorDeps, token: CustodialToken | null): Promise<readonly CheckedLine[]> {
  try {
    const { entries, damaged } = await deps.inventory.all()
    const unreadable = damaged.map(({ error }) => failed("leftovers", error))
    if (token === null) {
      const now = deps.clock.now()
      const notes = entries.flatMap((entry) => noteOf(entry.name, kmsSide(entry, now).note))
      return [...unreadable, leftoverLine(notes)]
    }
    const list = await listKeys({ ...deps, token })
    // a sealed key is in no token: the vault's own check says what of it is missing
    const sealed = entries.filter(({ custody }) => custody === "sealed")
    const looked = new Set(sealed.map(({ source }) => source.id))
    const missing = list.leftovers.filter((leftover) => isMissed(leftover) && !looked.has(leftover.sourceKeyId))
    const leftovers = list.leftovers.filter((leftover) => !isMissed(leftover))
    const notes = [
      ...list.keys.flatMap((key) => key.kms.flatMap(({ note }) => noteOf(key.name, note))),
      ...leftovers.flatMap(({ name, note }) => noteOf(name, note)),
      ...list.strays.map(({ label, id, reason }) => `${label} (${id}): ${reason}`),
    ]
    return [...unreadable, leftoverLine(notes), ...missing.map(missingLine)]
  } catch (error) {
    return [failed("leftovers", error)]
  }
}

function leftoverLine(notes: readonly string[]): CheckedLine {
  if (notes.length === 0) return ok("leftovers", "no run left anything unfinished")
  return warn("leftovers", notes.join("; "), "`keyferry key list` shows each with its KMS key")
}

/** A KMS key has material, or had, from a source key that is not in the token where it was generated. */
const isMissed = ({ token, status }: Leftover): boolean =>
  token !== null && (status === "imported" || status === "expired")

function missingLine({ name, sourceKeyId, keyArn, validTo, status }: Leftover): CheckedLine {
  const end =
    status === "expired"
      ? `whose material expired at ${validTo ?? ""} and cannot be imported again`
      : validTo === null
        ? "which cannot be filled again after a loss"
        : `which dies when its material expires at ${validTo}`
  return fail(
    "source-key-missing",
    `the source key ${name} (${sourceKeyId}) is missing in the token; it is that of the KMS key ${keyArn ?? ""}, ${end}`,
    "restore the token from its backup, or move what uses the KMS key to another one before it dies",
    "DATAERR",
  )
}

const noteOf = (name: string, note: string | null): readonly string[] => (note === null ? [] : [`${name}: ${note}`])
