import type { WrappingKeySpec } from "./key-spec.js"
import type { Secret } from "../base/secret.js"
import type { WrappingAlgorithm } from "./wrapping-algorithm.js"
import type { WrappingKey } from "./wrapping-key.js"

/** The answer of GetParametersForImport, its wrapping key checked; valid for 24 hours, for one KMS key. */
export interface ImportParameters {
  /** ARN, or ID where the parameters came as loose files. */
  readonly keyArn: string
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  readonly wrappingKey: WrappingKey
  readonly importToken: Secret<Uint8Array>
  readonly parametersValidTo: Date | null
  readonly requestId: string | null
}
