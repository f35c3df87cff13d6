import type { Inventory, Kms, Token } from "../../core/ports.js"
import { kmsSide, listKeys } from "../key-list.js"
import { type CheckedLine, failed, ok, warn } from "./check.js"
import { examineKms } from "./kms-checks.js"
import { examineToken, type TokenDoor } from "./token-checks.js"

export interface DoctorDeps {
  /** Null where no token was named. */
  readonly door: TokenDoor | null
  /** Opens KMS; throws ERR_KMS_REGION_MISSING where no Region was named. */
  readonly openKms: () => Promise<Kms>
  readonly inventory: Inventory
  /** What the process and its folders show: settled at the edge, reported here. */
  readonly surroundings: () => Promise<readonly CheckedLine[]>
}

/** Runs every check that can be made, and says of the others why not. */
export async function examine(deps: DoctorDeps): Promise<readonly CheckedLine[]> {
  const { token, lines } = await examineToken(deps.door)
  return [
    ...lines,
    ...(await examineKms(deps.openKms)),
    ...(await deps.surroundings()),
    ...(await examineLeftovers(deps, token)),
  ]
}

/** What stopped runs left, in the inventory and in the token. */
async function examineLeftovers({ inventory }: DoctorDeps, token: Token | null): Promise<readonly CheckedLine[]> {
  try {
    const notes =
      token === null
        ? (await inventory.list()).flatMap((entry) => noteOf(entry.name, kmsSide(entry).note))
        : await leftoverNotes(inventory, token)
    if (notes.length === 0) return [ok("leftovers", "no run left anything unfinished")]
    return [warn("leftovers", notes.join("; "), "run the same provision again, or see `keyferry key list`")]
  } catch (error) {
    return [failed("leftovers", error)]
  }
}

async function leftoverNotes(inventory: Inventory, token: Token): Promise<readonly string[]> {
  const list = await listKeys({ inventory, token })
  return [
    ...list.keys.flatMap((key) => key.kms.flatMap(({ note }) => noteOf(key.name, note))),
    ...list.leftovers.flatMap(({ name, note }) => noteOf(name, note)),
    ...list.strays.map(({ label, id, reason }) => `${label} (${id}): ${reason}`),
  ]
}

const noteOf = (name: string, note: string | null): readonly string[] => (note === null ? [] : [`${name}: ${note}`])
