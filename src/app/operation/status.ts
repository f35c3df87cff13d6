import type { KeyProgress, Operation } from "../../core/records/operation.js"
import type { Deps } from "../deps.js"
import { progressOfKeys } from "./end.js"

/** What a command was asked to do and has not come to the end of. */
export interface OperationStatus {
  /** Null where its file cannot be read, and its name does not tell. */
  readonly command: Operation["command"] | null
  readonly target: string | null
  readonly askedAt: string | null
  readonly keys: readonly {
    readonly name: string
    /** Null where its entry cannot be read. */
    readonly progress: KeyProgress | null
  }[]
  /** In words, with what to do. */
  readonly message: string
}

/** Every operation on disk, and those whose file cannot be read. */
export async function operationsStatus(
  deps: Pick<Deps, "operations" | "inventory">,
): Promise<readonly OperationStatus[]> {
  const { operations, damaged } = await deps.operations.list()
  const rows: OperationStatus[] = []
  for (const operation of operations) rows.push(await statusOf(deps, operation))
  for (const { path, command, reason } of damaged) {
    const message = `${path}: ${reason}: restore it from a backup, or compare the keys here and move it away`
    rows.push({ command, target: null, askedAt: null, keys: [], message })
  }
  return rows
}

async function statusOf(deps: Pick<Deps, "inventory">, operation: Operation): Promise<OperationStatus> {
  const { command, askedAt } = operation
  if (operation.command === "reseal") {
    const message = `\`key reseal --new-custody-key\` was asked for on ${askedAt} and has not come to its end: run it again`
    return { command, target: null, askedAt, keys: [], message }
  }
  const progress = await progressOfKeys(deps, operation)
  const keys = operation.keys.map(({ name }, index) => ({ name, progress: progress[index] ?? null }))
  const left = keys.filter((key) => key.progress !== "done").map(({ name }) => name)
  const names = keys.map(({ name, progress: reached }) => `${name} ${reached ?? "not known"}`).join(", ")
  const again = `${command} ${left.join(" ")}`
  const giveUp = command === "rotate" ? `; \`keyferry rotate --abandon ${left.join(" ")}\` gives it up` : ""
  const rest =
    left.length === 0
      ? `the next \`${command}\`, \`rewrap\` or \`apply\` ends it`
      : `\`keyferry ${again}\`, \`rewrap\` or \`apply\` finishes it${giveUp}`
  const message = `${command} was asked for on ${askedAt} and has not come to its end (${names}): ${rest}`
  return { command, target: operation.target, askedAt, keys, message }
}
