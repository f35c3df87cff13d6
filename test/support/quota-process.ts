import { KeyferryError } from "#src/core/base/error.js"
import { openKms } from "#src/kms/kms.js"
import { createPacer } from "#src/kms/pacing.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { sharedQuotas } from "#src/store/postgres/shared-quota.js"

/** What an agent is to send, given as JSON in its first argument. */
export interface QuotaWork {
  /** Of the database that keeps the quotas. */
  readonly database: string
  readonly endpoint: string
  readonly keyArn: string
  readonly operation: "DescribeKey" | "GetParametersForImport"
  /** Requests a second of that operation. */
  readonly quota: number
  /** Requests that always wait at the same time. */
  readonly waiting: number
}

/**
 * Sends requests of one operation without a pause, under the quota that all share, until its standard input ends. Writes
 * a line for each: its operation's `answered`, or the code of the failure and AWS' name for it.
 */
async function send(work: QuotaWork): Promise<void> {
  const { endpoint, keyArn, operation, quota, waiting } = work
  await using database = openDatabase({ url: work.database }, "keyferry quota test")
  const pacer = createPacer({ shared: sharedQuotas(database) })
  using kms = await openKms({
    region: "us-east-1",
    endpointUrl: endpoint,
    env: process.env,
    pacer,
    quotaKey: "111122223333",
    quotas: { [operation]: quota },
  })
  let isOver = false
  process.stdin.resume().once("end", () => (isOver = true))
  const sendAll = async (): Promise<void> => {
    while (!isOver) {
      try {
        if (operation === "DescribeKey") await kms.describeKey(keyArn)
        else await kms.getParametersForImport(keyArn, "RSAES_OAEP_SHA_256", "RSA_2048")
        process.stdout.write("answered\n")
      } catch (error) {
        if (!(error instanceof KeyferryError)) throw error
        process.stdout.write(`${error.code} ${error.causes[0]?.code ?? ""}\n`)
      }
    }
  }
  await Promise.all(Array.from({ length: waiting }, sendAll))
}

await send(JSON.parse(process.argv[2] ?? "{}") as QuotaWork)
