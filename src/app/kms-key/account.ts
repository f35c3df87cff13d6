import { KeyferryError } from "../../core/base/error.js"
import { parseKeyArn } from "../../core/key/key-arn.js"
import type { Deps } from "../deps.js"

interface Account {
  readonly account: string
  readonly partition: string
}

/** The account that a KMS key belongs to; undefined where only its ID is known. */
export function accountOf(keyArn: string): Account | undefined {
  const parsed = parseKeyArn(keyArn)
  return parsed === undefined ? undefined : { account: parsed.account, partition: parsed.partition }
}

/** The account whose credentials are at hand (STS GetCallerIdentity). */
export async function callersAccount(deps: Pick<Deps, "kms">): Promise<Account> {
  const { account, arn } = await deps.kms.callerIdentity()
  return { account, partition: arn.split(":")[1] ?? "" }
}

/**
 * Account and partition of a source key are fixed at its first import (invariant I3).
 *
 * @param accountHere asked only where the name is known from another target
 * @throws ERR_POLICY_REFUSED
 */
export async function refuseOtherAccount(
  deps: Pick<Deps, "inventory">,
  key: { readonly owner: string; readonly name: string; readonly target: string | null },
  accountHere: () => Promise<Account | undefined>,
): Promise<void> {
  const firstEntry = (await deps.inventory.list(key.name)).find(
    ({ keyArn, owner, target }) => keyArn !== null && owner === key.owner && target !== key.target,
  )
  const fixed = firstEntry?.keyArn == null ? undefined : accountOf(firstEntry.keyArn)
  if (fixed === undefined) return
  const account = await accountHere()
  if (account === undefined || (account.account === fixed.account && account.partition === fixed.partition)) return
  throw new KeyferryError(
    "ERR_POLICY_REFUSED",
    `the source key of ${key.name} belongs to account ${fixed.account} in ${fixed.partition}, not to ${account.account} in ${account.partition}`,
    {
      key: key.name,
      hint: "account and partition of a source key are fixed at its first import: use another --name, or the right credentials",
    },
  )
}
