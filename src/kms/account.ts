import { parseKeyArn } from "../core/key/key-arn.js"
import { KeyferryError } from "../core/base/error.js"
import type { Account } from "../core/key/aws-name.js"
import type { Caller } from "./call.js"

/** The account that a target is to be in. */
export interface PinnedAccount {
  /** 12 digits. */
  readonly account: string
  /** Who says so, for messages. */
  readonly origin: string
}

interface AccountWatch {
  /** Runs a call only as the pinned account; one that finds no key asks whether it is looked for in the right one. */
  readonly call: Caller
  /** What STS has said of the credentials, whoever asked it. */
  readonly learn: (account: Account) => void
  /** Whose credentials are at hand; STS is asked where no answer of KMS has shown it. */
  readonly callers: () => Promise<Account>
  /** The account of the keys that KMS has answered about, or of the credentials; null before the first answer. */
  readonly known: () => Account | null
}

/**
 * Watches over whose account the calls go to (invariant I13). With a pinned account GetCallerIdentity comes before the
 * first call; without one nothing more is asked of AWS.
 *
 * @throws by its `call`: ERR_POLICY_REFUSED where the credentials are another account's
 */
export function watchAccount(
  caller: Caller,
  askSts: () => Promise<Account>,
  pinned: PinnedAccount | null,
): AccountWatch {
  let ofCallers: Account | null = null
  let ofKeys: Account | null = null
  let asking: Promise<Account> | undefined
  const identity = (): Promise<Account> => (asking ??= askSts().then((account) => (ofCallers = account)))
  const callers = async (): Promise<Account> => ofCallers ?? (await identity())

  const refuseOther = async (): Promise<void> => {
    if (pinned === null) return
    const { account } = await identity()
    if (account === pinned.account) return
    throw new KeyferryError(
      "ERR_POLICY_REFUSED",
      `the credentials are of account ${account}, and ${pinned.origin} is ${pinned.account}`,
      { hint: "give credentials of that account (--profile, --role-arn), or correct the account of the target" },
    )
  }

  /** KMS says of a key of another account that it is not there, or not to be seen. */
  const strangerError = async (error: unknown, keyId: string | undefined): Promise<unknown> => {
    const key = parseKeyArn(keyId ?? "")
    if (key === undefined || !(error instanceof KeyferryError)) return error
    if (error.code !== "ERR_KMS_KEY_NOT_FOUND" && error.code !== "ERR_KMS_ACCESS_DENIED") return error
    const here = await callers().catch(() => null)
    if (here === null || here.account === key.account) return error
    const message = `${keyId ?? ""} is a key of account ${key.account}, and the credentials are of account ${here.account}`
    return new KeyferryError("ERR_POLICY_REFUSED", message, {
      key: keyId ?? "",
      cause: error,
      causes: error.causes,
      hint: `give credentials of account ${key.account} (--profile, --role-arn): whether the key is there cannot be told with others`,
    })
  }

  return {
    learn: (account) => void (ofCallers = account),
    callers,
    known: () => ofKeys ?? ofCallers,
    async call(request, run) {
      await refuseOther()
      try {
        const answered = await caller(request, run)
        const account = accountIn(answered.answer)
        if (account !== null) ofKeys = account
        if (request.operation === "ListKeys" || request.operation === "CreateKey") ofCallers = account ?? ofCallers
        return answered
      } catch (error) {
        throw await strangerError(error, request.keyId)
      }
    },
  }
}

/** The account in the ARN of an answer's key. */
function accountIn(answer: unknown): Account | null {
  const { KeyMetadata, Keys, KeyId } = answer as {
    readonly KeyMetadata?: { readonly keyArn?: unknown }
    readonly Keys?: readonly { readonly KeyArn?: unknown }[]
    readonly KeyId?: unknown
  }
  const arn = KeyMetadata?.keyArn ?? Keys?.[0]?.KeyArn ?? KeyId
  const key = typeof arn === "string" ? parseKeyArn(arn) : undefined
  return key === undefined ? null : { account: key.account, partition: key.partition }
}
