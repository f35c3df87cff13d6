import type { Kms } from "../core/ports/kms.js"
import { type PinnedAccount, watchAccount } from "./account.js"
import { ANSWERS } from "./answer.js"
import { caller, type KmsCall } from "./call.js"
import { type KmsOptions, openClients } from "./client.js"
import { keyOperations } from "./keys.js"
import { materialOperations } from "./material.js"
import { nameOperations } from "./names.js"
import { useOperations } from "./use.js"

/**
 * Opens KMS in one account and Region. Nothing is sent until a method is called; disposing it closes its connections.
 *
 * @throws ERR_KMS_REGION_MISSING, ERR_KMS_ENDPOINT_REFUSED, ERR_INPUT_UNREADABLE
 */
export async function openKms(
  options: KmsOptions & {
    readonly onCall?: (call: KmsCall) => void
    /** The one account to work in; whichever the credentials are of where it is null or left out. */
    readonly pinned?: PinnedAccount | null
  },
): Promise<Kms & Disposable> {
  let lastDate: Date | null = null
  const onTime = (date: Date): void => {
    lastDate = date
    options.onTime?.(date)
  }
  const { region, endpoint, send, close, sts } = await openClients({
    ...options,
    account: options.pinned?.account,
    onTime,
  })
  const callAnyone = caller(send, options.onCall)
  const callerIdentity = async () => {
    const operation = "sts:GetCallerIdentity"
    const { answer } = await callAnyone({ operation, input: {}, answer: ANSWERS.GetCallerIdentity }, async () => {
      const { GetCallerIdentityCommand } = await import("@aws-sdk/client-sts")
      return (await sts()).send(new GetCallerIdentityCommand({}))
    })
    return { account: answer.Account, arn: answer.Arn }
  }
  const accountOfSts = async () => accountIn(await callerIdentity())
  const { call, callers, known, learn } = watchAccount(callAnyone, accountOfSts, options.pinned ?? null)
  const session = { call, region, serverTime: () => lastDate }

  return {
    region,
    endpoint,
    async callerIdentity() {
      const identity = await callerIdentity()
      learn(accountIn(identity))
      return identity
    },
    callersAccount: callers,
    knownAccount: known,

    ...keyOperations(session),
    ...nameOperations(session),
    ...materialOperations(session),
    ...useOperations(session),

    [Symbol.dispose]() {
      close()
    },
  }
}

const accountIn = ({ account, arn }: { readonly account: string; readonly arn: string }) => ({
  account,
  partition: arn.split(":")[1] ?? "",
})
