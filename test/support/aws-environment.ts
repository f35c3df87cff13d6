import { type KmsCall } from "#src/kms/call.js"
import { openKms } from "#src/kms/kms.js"
import type { Kms } from "#src/core/ports/kms.js"
import type { LocalKmsProcess } from "#test/support/local-kms.js"

/** Credentials that the local KMS takes, and nothing of the AWS settings of whoever runs the tests. */
export const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "AKIALOCALKMSTEST0000",
  AWS_SECRET_ACCESS_KEY: "not-a-secret",
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
  AWS_EC2_METADATA_DISABLED: "true",
}

/** Gives the SDK's credential chain, which reads `process.env`, these variables while the calling suite runs. */
export function awsEnvironment(variables: Readonly<Record<string, string>> = {}): void {
  const saved = { ...process.env }
  before(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) Reflect.deleteProperty(process.env, name)
    Object.assign(process.env, CREDENTIALS, variables)
  })
  after(() => {
    for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name)
    Object.assign(process.env, saved)
  })
}

/** KMS at an endpoint of this machine, with the calls that were made. */
export async function openAt(
  { endpoint }: Pick<LocalKmsProcess, "endpoint">,
  options: Partial<Parameters<typeof openKms>[0]> = {},
): Promise<{ kms: Kms & Disposable; calls: KmsCall[] }> {
  const calls: KmsCall[] = []
  const kms = await openKms({
    region: "us-east-1",
    endpointUrl: endpoint,
    env: {},
    onCall: (call) => calls.push(call),
    ...options,
  })
  return { kms, calls }
}

/** What CreateKey is asked for where a test needs any key. */
export const SYMMETRIC = {
  keySpec: "SYMMETRIC_DEFAULT",
  keyUsage: "ENCRYPT_DECRYPT",
  description: null,
  multiRegion: false,
  tags: {},
} as const
