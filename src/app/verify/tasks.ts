import { KeyferryError } from "../../core/error.js"
import type { VerifyDeps } from "./looked.js"
import type { VerifyTask } from "./verify.js"

/**
 * Every KMS key of the names, or all: each followed by those whose place it took, until they are retired.
 *
 * @throws ERR_KEY_NOT_FOUND for a name that stands for nothing
 */
export async function tasksOf(
  deps: VerifyDeps,
  { owner, names }: { readonly owner: string; readonly names: readonly string[] },
): Promise<readonly VerifyTask[]> {
  const entries = (await deps.inventory.list()).filter((entry) => entry.owner === owner)
  const unknown = names.find((name) => !entries.some((entry) => entry.name === name))
  if (unknown !== undefined) {
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `this state directory has no key named ${unknown}`, {
      key: unknown,
      hint: "`keyferry status` shows the keys there are; --state-dir and --config say where to look",
    })
  }
  const open = (): Promise<VerifyDeps> => Promise.resolve(deps)
  return entries
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .flatMap((entry) => [
      { entry, role: "current" as const, open },
      ...entry.former
        .filter(({ retiredAt }) => retiredAt === null)
        .map((former) => ({ entry: former, role: "former" as const, open })),
    ])
}
