import { KeyferryError } from "../../core/base/error.js"
import { parseKeyArn } from "../../core/key/key-arn.js"
import type { Account } from "../../core/key/aws-name.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Deps } from "../deps.js"

/** The account that a KMS key belongs to; undefined where only its ID is known. */
export function accountOf(keyArn: string): Account | undefined {
  const parsed = parseKeyArn(keyArn)
  return parsed === undefined ? undefined : { account: parsed.account, partition: parsed.partition }
}

/**
 * Refuses a KMS key of another account than the credentials', which KMS may let be looked at and never be filled. Whose the
 * credentials are is known where keys were listed before.
 *
 * @throws ERR_POLICY_REFUSED
 */
export async function refuseStrangersKey(kms: Pick<Kms, "callersAccount">, keyArn: string): Promise<void> {
  const owner = accountOf(keyArn)
  const here = await kms.callersAccount()
  if (owner === undefined || owner.account === here.account) return
  throw new KeyferryError(
    "ERR_POLICY_REFUSED",
    `${keyArn} is a key of account ${owner.account}, and the credentials are of account ${here.account}`,
    {
      key: keyArn,
      hint: "KMS takes key material from the key's own account alone: give credentials of that (--profile, --role-arn)",
    },
  )
}

/** The name, and the target where one is known; `name` is null for a KMS key that is no name's yet. */
interface Subject {
  readonly owner: string
  readonly name: string | null
  readonly target: string | null
}

interface Fixed extends Account {
  /** What is fixed to it, for messages. */
  readonly words: string
}

/**
 * Account and partition of a source key, and of a target that the configuration says no account of, are fixed at the first
 * import (invariants I3, I13).
 *
 * @param accountHere asked only where something is fixed
 * @throws ERR_POLICY_REFUSED
 */
export async function refuseOtherAccount(
  deps: Pick<Deps, "inventory">,
  key: Subject,
  accountHere: () => Promise<Account | undefined>,
): Promise<void> {
  const fixed = [await fixedBySource(deps, key), await fixedByTarget(deps, key)].filter((account) => account !== null)
  if (fixed.length === 0) return
  const here = await accountHere()
  if (here === undefined) return
  const other = fixed.find(({ account, partition }) => account !== here.account || partition !== here.partition)
  if (other === undefined) return
  throw new KeyferryError(
    "ERR_POLICY_REFUSED",
    `${other.words} belongs to account ${other.account} in ${other.partition}, not to ${here.account} in ${here.partition}`,
    {
      key: key.name ?? key.target ?? "",
      hint: "the first import fixes the account: give credentials of that one, or another --name in a target or --state-dir of its own",
    },
  )
}

async function fixedBySource({ inventory }: Pick<Deps, "inventory">, key: Subject): Promise<Fixed | null> {
  if (key.name === null) return null
  const entry = (await inventory.list(key.name)).find(
    ({ keyArn, owner, target }) => keyArn !== null && owner === key.owner && target !== key.target,
  )
  return fixedBy(entry, `the source key of ${key.name}`)
}

async function fixedByTarget({ inventory }: Pick<Deps, "inventory">, { target }: Subject): Promise<Fixed | null> {
  return target === null ? null : fixedBy(await inventory.firstMade(target), `the target ${target}`)
}

function fixedBy(entry: InventoryEntry | undefined, words: string): Fixed | null {
  const account = accountOf(entry?.keyArn ?? "")
  return account === undefined ? null : { ...account, words }
}
