import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Caller } from "./caller.js"
import { readPolicy, type Statement } from "./document.js"
import { PolicyError } from "./policy-text.js"

/** Policies of identities, as JSON, by the name of a role or an access key ID; those of {@link EVERYONE} hold for all callers. */
export type PolicyDocuments = Readonly<Record<string, readonly unknown[]>>

/** Whose policies are enforced; nobody's, and none is asked for, as long as none are put. */
export interface PolicyBook {
  /** Null while policies are not enforced. */
  readonly documents: () => PolicyDocuments | null
  /** @throws PolicyError, and then what was there stays */
  readonly put: (documents: PolicyDocuments | null) => void
  /** The statements that hold for a caller; null while policies are not enforced. */
  readonly of: (caller: Caller) => readonly Statement[] | null
}

export const EVERYONE = "everyone"

export function policyBook(initial: PolicyDocuments | null): PolicyBook {
  let documents: PolicyDocuments | null = null
  let statements: ReadonlyMap<string, readonly Statement[]> | null = null
  const put = (next: PolicyDocuments | null): void => {
    statements = next === null ? null : new Map(Object.entries(next).map(([name, list]) => [name, read(name, list)]))
    documents = next
  }
  put(initial)
  return {
    put,
    documents: () => documents,
    of: ({ policyName }) => statements && [...(statements.get(EVERYONE) ?? []), ...(statements.get(policyName) ?? [])],
  }
}

function read(name: string, documents: readonly unknown[]): readonly Statement[] {
  try {
    return documents.flatMap((document) => readPolicy(document))
  } catch (error) {
    throw error instanceof PolicyError ? new PolicyError(`policy of ${name}: ${error.message}`) : error
  }
}

/**
 * Reads the policies of a file, which hold for everyone, or of a folder: `NAME.json` for a role or an access key ID, or a folder
 * NAME with several.
 *
 * @throws PolicyError for what is not JSON; what reading files throws
 */
export async function readPolicies(path: string): Promise<PolicyDocuments> {
  if (!(await stat(path)).isDirectory()) return { [EVERYONE]: [await readDocument(path)] }
  const entries = await readdir(path, { withFileTypes: true })
  const named = await Promise.all(
    entries.map(async (entry): Promise<[string, readonly unknown[]][]> => {
      const entryPath = join(path, entry.name)
      if (entry.isDirectory()) {
        const files = (await readdir(entryPath)).filter((file) => file.endsWith(".json")).sort()
        return [[entry.name, await Promise.all(files.map((file) => readDocument(join(entryPath, file))))]]
      }
      return entry.name.endsWith(".json")
        ? [[entry.name.slice(0, -".json".length), [await readDocument(entryPath)]]]
        : []
    }),
  )
  return Object.fromEntries(named.flat())
}

async function readDocument(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"))
  } catch (error) {
    throw error instanceof SyntaxError ? new PolicyError(`${path} is not JSON`) : error
  }
}
