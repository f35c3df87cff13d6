import type { ChangesFor } from "../manifest/key-settings.js"
import type { TokenInfo } from "../token/token-info.js"
import type { ImportWishes, InventoryEntry } from "./inventory.js"

/** How material is to be imported for a key that is known; what null leaves open is repeated from its last import. */
export interface ImportAgainWishes {
  readonly expiresIn: string | null
  readonly wrappingAlgorithm: ImportWishes["wrappingAlgorithm"] | null
  readonly wrappingKeySpec: ImportWishes["wrappingKeySpec"] | null
  readonly prove: "full" | "accept"
}

/** What the new KMS key is to be; what null, or no word, leaves open is as the old one's. */
export interface ReplaceWishes
  extends ImportAgainWishes, Partial<Omit<ChangesFor<"replace">, keyof ImportAgainWishes>> {
  /** `session` and `locked` custody can import only once; the operator has said that this is understood. */
  readonly acceptNoReimport?: boolean
}

/** One KMS key that new material, or a new KMS key in its place, was asked for. */
export interface AskedKey {
  readonly name: string
  /** The KMS key that the name stood for then. */
  readonly keyArn: string
}

export interface AskedRotation extends AskedKey {
  /** The generation that the rotation leads to. */
  readonly generation: number
}

interface Asked {
  readonly id: string
  readonly owner: string
  /** RFC 3339 UTC. */
  readonly askedAt: string
}

export interface RotateOperation extends Asked {
  readonly command: "rotate"
  readonly target: string
  readonly keys: readonly AskedRotation[]
  readonly wishes: ImportAgainWishes
}

export interface ReplaceOperation extends Asked {
  readonly command: "replace"
  readonly target: string
  readonly keys: readonly AskedKey[]
  readonly wishes: ReplaceWishes
}

/** `key reseal --new-custody-key`: what was under older custody keys goes under one with a higher number. */
export interface ResealOperation extends Asked {
  readonly command: "reseal"
  readonly token: TokenInfo
  /** Number of the newest custody key then; 0 where there was none. */
  readonly newestBefore: number
}

/**
 * What a command that makes something new was asked to do: a file of the state directory, written before it begins and
 * removed once its result was printed. It says where it leads to, so that the entries tell at any moment what is left.
 */
export type Operation = RotateOperation | ReplaceOperation | ResealOperation

export type KeyOperation = RotateOperation | ReplaceOperation

/** A file that cannot be read: what was asked for is not known. */
export interface DamagedOperation {
  readonly path: string
  /** Null where not even the name of the file tells. */
  readonly command: Operation["command"] | null
  readonly reason: string
}

export type KeyProgress = "asked" | "begun" | "done"

/**
 * How far an operation has come with one of its keys. One that went another way meanwhile, as a KMS key that was replaced
 * before it was rotated, is done with.
 */
export function progressOf(
  operation: KeyOperation,
  key: AskedKey | AskedRotation,
  entry: InventoryEntry | undefined,
): KeyProgress {
  if (entry?.keyArn !== key.keyArn) return "done"
  if (operation.command === "replace") return entry.replacement === null ? "asked" : "begun"
  const { rotating, source } = entry
  if ("generation" in key && source.generation < key.generation) return "asked"
  return rotating ? "begun" : "done"
}

/** Whether what is done of a key now belongs to the operation; a KMS key that it does not know is another matter. */
export function governs(operation: KeyOperation, key: AskedKey, entry: InventoryEntry): boolean {
  if (key.name !== entry.name) return false
  if (entry.keyArn === key.keyArn) return true
  return operation.command === "replace" && entry.former.some(({ keyArn }) => keyArn === key.keyArn)
}

/** What commands that did not come to their end want of one key. */
export interface Unfinished {
  readonly rotation: Pick<RotateOperation, "askedAt" | "wishes"> | null
  readonly replacement: Pick<ReplaceOperation, "askedAt" | "wishes"> | null
}

export const NOTHING_ASKED: Unfinished = { rotation: null, replacement: null }

/** What of the operations is still to be done for an entry. */
export function unfinishedOf(operations: readonly Operation[], entry: InventoryEntry): Unfinished {
  let unfinished = NOTHING_ASKED
  for (const operation of operations) {
    if (operation.command === "reseal") continue
    if (operation.owner !== entry.owner || operation.target !== entry.target) continue
    const key = operation.keys.find(({ name }) => name === entry.name)
    if (key === undefined || progressOf(operation, key, entry) === "done") continue
    unfinished =
      operation.command === "rotate"
        ? { ...unfinished, rotation: operation }
        : { ...unfinished, replacement: operation }
  }
  return unfinished
}
