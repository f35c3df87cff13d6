import { KmsError } from "./error.js"

export interface Caller {
  readonly accessKeyId: string
  readonly region: string
  /** The service of the credential scope: `kms` or `sts`. */
  readonly service: string
}

const SCHEME = "AWS4-HMAC-SHA256"
const CREDENTIAL = /(?:^|[\s,])Credential=([^/,\s]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request(?:,|$)/
const SIGNED_HEADERS = /(?:^|[\s,])SignedHeaders=[^,\s]+/
const SIGNATURE = /(?:^|[\s,])Signature=[0-9a-f]{64}(?:,|$)/

/**
 * Reads who calls which Region from a Signature Version 4 header. The form is required; the signature is not verified,
 * since nobody here knows the secret.
 */
export function readAuthorization(header: string | undefined): Caller {
  if (header === undefined || header === "") {
    throw new KmsError("MissingAuthenticationTokenException", "Missing Authentication Token")
  }
  const [, accessKeyId, , region, service] = CREDENTIAL.exec(header) ?? []
  const complete = header.startsWith(`${SCHEME} `) && SIGNED_HEADERS.test(header) && SIGNATURE.test(header)
  if (!complete || accessKeyId === undefined || region === undefined || service === undefined) {
    throw new KmsError("IncompleteSignatureException", "Authorization header requires AWS4-HMAC-SHA256 credentials")
  }
  return { accessKeyId, region, service }
}
