import type { ErrorCode } from "../core/base/error.js"

/** What an AWS error means here. `says` follows "OPERATION: "; `hint` replaces the one of the code. */
export interface ErrorRow {
  readonly code: ErrorCode
  readonly says: string
  readonly hint?: string
}

export const row = (code: ErrorCode, says: string, hint?: string): ErrorRow =>
  hint === undefined ? { code, says } : { code, says, hint }

const THROTTLED = row("ERR_KMS_THROTTLED", "KMS turned the request away: too many requests")
export const PASSING = row("ERR_KMS_UNAVAILABLE", "KMS had a passing fault")
const DENIED = row("ERR_KMS_ACCESS_DENIED", "this identity may not do that")
const INVALID = row("ERR_KMS_REFUSED", "KMS refused the request as invalid")
const NO_CREDENTIALS = row("ERR_KMS_CREDENTIALS", "there are no AWS credentials to sign the request with")
const EXPIRED_CREDENTIALS = row(
  "ERR_KMS_CREDENTIALS",
  "the AWS credentials have expired",
  "get new credentials (`aws sso login`, or a new session token)",
)
const UNKNOWN_CREDENTIALS = row(
  "ERR_KMS_CREDENTIALS",
  "AWS does not know these credentials",
  "check the access key ID and session token, and that they belong to the partition of the Region",
)
const WRONG_SIGNATURE = row(
  "ERR_KMS_CREDENTIALS",
  "AWS does not accept the signature of the request",
  "check the secret access key and this machine's clock",
)
const UNKNOWN_OPERATION = row("ERR_KMS_ANSWER", "the endpoint does not know the operation")
const NO_ANSWER = row("ERR_KMS_UNREACHABLE", "no whole answer came in time")
const NOT_RESOLVED = row("ERR_KMS_UNREACHABLE", "the name of the endpoint or proxy cannot be resolved")
const CLOSED = row("ERR_KMS_UNREACHABLE", "the connection was closed before an answer came")
const NO_ROUTE = row("ERR_KMS_UNREACHABLE", "there is no route to the endpoint or proxy")
const NOT_TLS = row(
  "ERR_KMS_UNREACHABLE",
  "the endpoint does not speak TLS as expected",
  "check the endpoint's scheme and port, and any proxy that breaks TLS open",
)
const UNTRUSTED = row(
  "ERR_KMS_UNREACHABLE",
  "the TLS certificate of the endpoint is not trusted",
  "name its certificate authority by AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS, if you know why it is not a public one",
)
const WRONG_HOST = row(
  "ERR_KMS_UNREACHABLE",
  "the TLS certificate is for another name than the endpoint's",
  "check --endpoint-url, and who answers in its place",
)
const OUT_OF_DATE = row(
  "ERR_KMS_UNREACHABLE",
  "the TLS certificate of the endpoint is not valid today",
  "check this machine's clock, then the certificate",
)

const NO_ALIAS = row(
  "ERR_KMS_ALIAS",
  "KMS does not take that for the name of an alias",
  "an alias is alias/ and up to 250 letters, digits, `/`, `_`, `-`; alias/aws/ is AWS' own",
)

/** AWS error names, Node's error codes, and what they come to (the API Reference lists them by operation). */
export const ERRORS_BY_NAME: Readonly<Record<string, ErrorRow>> = {
  // the key
  NotFoundException: row("ERR_KMS_KEY_NOT_FOUND", "KMS does not know the key or alias"),
  InvalidArnException: row("ERR_KMS_KEY_NOT_FOUND", "KMS does not take that for the ARN of a key"),
  KMSInvalidStateException: row("ERR_KMS_KEY_STATE", "the state of the KMS key does not allow it"),
  DisabledException: row("ERR_KMS_KEY_STATE", "the KMS key is disabled", "enable it: keyferry enable NAME"),
  ConflictException: row(
    "ERR_KMS_KEY_STATE",
    "a rotation of the KMS key is in progress",
    "wait until it has completed",
  ),
  UnsupportedOperationException: row("ERR_KMS_KEY_ORIGIN", "the origin or kind of the KMS key does not allow it"),
  InvalidKeyUsageException: row("ERR_KMS_KEY_MISMATCH", "the key usage of the KMS key does not allow it"),
  KeyUnavailableException: PASSING,
  AlreadyExistsException: row("ERR_KMS_ALIAS_TAKEN", "the alias is in use"),
  InvalidAliasNameException: NO_ALIAS,

  // the import
  InvalidImportTokenException: row("ERR_KMS_IMPORT_TOKEN", "the import token is damaged or belongs to another KMS key"),
  ExpiredImportTokenException: row("ERR_IMPORT_TOKEN_EXPIRED", "the import token has expired"),
  InvalidCiphertextException: row("ERR_KMS_CIPHERTEXT", "KMS could not open the wrapped key material, or not use it"),
  IncorrectKeyMaterialException: row("ERR_KMS_KEY_MATERIAL", "KMS expected other key material for this KMS key"),

  // quotas and faults
  LimitExceededException: row("ERR_KMS_LIMIT", "a quota of the account or of the key is used up"),
  ThrottlingException: THROTTLED,
  Throttling: THROTTLED,
  ThrottledException: THROTTLED,
  RequestThrottled: THROTTLED,
  RequestThrottledException: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  TooManyRequestsException: THROTTLED,
  KMSInternalException: PASSING,
  DependencyTimeoutException: PASSING,

  // the request
  ValidationException: INVALID,
  ValidationError: INVALID,
  SerializationException: INVALID,
  TagException: row("ERR_KMS_REFUSED", "KMS refused the tags"),
  MalformedPolicyDocumentException: row("ERR_KMS_REFUSED", "KMS refused the key policy"),
  InvalidMarkerException: INVALID,
  UnknownOperationException: UNKNOWN_OPERATION,
  UnknownOperation: UNKNOWN_OPERATION,
  InvalidAction: UNKNOWN_OPERATION,
  EndpointError: row("ERR_KMS_ENDPOINT_REFUSED", "no endpoint fits these settings"),

  // who asks
  AccessDeniedException: DENIED,
  AccessDenied: DENIED,
  NotAuthorized: DENIED,
  UnauthorizedOperation: DENIED,
  OptInRequired: row(
    "ERR_KMS_ACCESS_DENIED",
    "the account or the Region is not enabled",
    "enable the Region for the account",
  ),
  SubscriptionRequiredException: row("ERR_KMS_ACCESS_DENIED", "the account is not subscribed to the service"),
  CredentialsProviderError: NO_CREDENTIALS,
  TokenProviderError: NO_CREDENTIALS,
  ProviderError: NO_CREDENTIALS,
  MissingAuthenticationToken: NO_CREDENTIALS,
  MissingAuthenticationTokenException: NO_CREDENTIALS,
  ExpiredTokenException: EXPIRED_CREDENTIALS,
  ExpiredToken: EXPIRED_CREDENTIALS,
  RequestExpired: EXPIRED_CREDENTIALS,
  UnrecognizedClientException: UNKNOWN_CREDENTIALS,
  InvalidClientTokenId: UNKNOWN_CREDENTIALS,
  InvalidClientTokenIdException: UNKNOWN_CREDENTIALS,
  InvalidAccessKeyId: UNKNOWN_CREDENTIALS,
  InvalidIdentityToken: UNKNOWN_CREDENTIALS,
  UnauthorizedException: EXPIRED_CREDENTIALS,
  InvalidSignatureException: WRONG_SIGNATURE,
  SignatureDoesNotMatch: WRONG_SIGNATURE,
  IncompleteSignature: WRONG_SIGNATURE,
  IncompleteSignatureException: WRONG_SIGNATURE,

  // the way there
  ENOTFOUND: NOT_RESOLVED,
  EAI_AGAIN: NOT_RESOLVED,
  ECONNREFUSED: row("ERR_KMS_UNREACHABLE", "nothing listens at the endpoint or proxy"),
  ECONNRESET: CLOSED,
  ECONNABORTED: CLOSED,
  EPIPE: CLOSED,
  ETIMEDOUT: NO_ANSWER,
  TimeoutError: NO_ANSWER,
  AnswerTooLarge: row("ERR_KMS_ANSWER", "the answer is larger than any of KMS"),
  EHOSTUNREACH: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
  EPROTO: NOT_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_TLS_NO_POST_QUANTUM: row(
    "ERR_KMS_ENDPOINT_REFUSED",
    "the endpoint agreed to no post-quantum key exchange, which the target requires",
    "see what breaks TLS open on the way, or whether this endpoint of AWS has it; tls.requirePostQuantum of the target is who wants it",
  ),
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_UNTRUSTED: UNTRUSTED,
  CERT_REVOKED: UNTRUSTED,
  CERT_HAS_EXPIRED: OUT_OF_DATE,
  CERT_NOT_YET_VALID: OUT_OF_DATE,
  ERR_TLS_CERT_ALTNAME_INVALID: WRONG_HOST,
}

/** Errors that one name does not tell apart: by the words of KMS, of hpagent, or by the operation. */
export const REFINEMENTS: readonly { name: string; operation?: string; message?: RegExp; row: ErrorRow }[] = [
  {
    name: "KMSInvalidStateException",
    message: /is pending deletion/,
    row: row(
      "ERR_KMS_KEY_STATE",
      "the KMS key is pending deletion",
      "cancel its deletion first: aws kms cancel-key-deletion",
    ),
  },
  {
    name: "KMSInvalidStateException",
    message: /is pending import/,
    row: row("ERR_KMS_KEY_STATE", "the KMS key holds no key material", "import it again: keyferry recover NAME --yes"),
  },
  {
    name: "KMSInvalidStateException",
    message: /is pending rotation/,
    row: row(
      "ERR_KMS_KEY_STATE",
      "other new key material already waits for the rotation of the KMS key",
      "rotate to it: keyferry rotate NAME; or delete it where it came from",
    ),
  },
  {
    name: "KMSInvalidStateException",
    message: /^No available key material pending rotation/,
    row: row(
      "ERR_KMS_KEY_STATE",
      "no key material waits for the rotation of the KMS key",
      "import new key material first: keyferry rotate does both",
    ),
  },
  {
    name: "KMSInvalidStateException",
    message: /has not been imported for replicas/,
    row: row(
      "ERR_KMS_KEY_STATE",
      "replicas of the multi-Region key lack the new key material",
      "import it into every replica first: keyferry rotate does",
    ),
  },
  {
    name: "KMSInvalidStateException",
    message: /is (creating|being created|Creating)/,
    row: row("ERR_KMS_KEY_STATE", "the KMS key is still being created", "wait a minute and run again"),
  },
  {
    name: "AlreadyExistsException",
    operation: "ReplicateKey",
    row: row("ERR_KMS_REPLICA_EXISTS", "the multi-Region key has a replica in that Region"),
  },
  {
    name: "UnsupportedOperationException",
    operation: "ReplicateKey",
    row: row("ERR_KMS_KEY_ORIGIN", "only the primary of a multi-Region key can be replicated"),
  },
  {
    name: "ValidationException",
    operation: "DeleteImportedKeyMaterial",
    message: /has never been imported/,
    row: row("ERR_KMS_KEY_MATERIAL", "KMS does not know that key material of the KMS key"),
  },
  {
    name: "UnsupportedOperationException",
    operation: "CreateKey",
    row: row("ERR_KMS_REFUSED", "KMS makes no such key here"),
  },
  {
    name: "ValidationException",
    message: /cannot be used to import/i,
    row: row("ERR_ALGORITHM_NOT_ALLOWED", "KMS does not take this wrapping algorithm for the key spec"),
  },
  {
    name: "ValidationException",
    message: /^Alias must start with|at 'aliasName' failed/,
    row: NO_ALIAS,
  },
  {
    name: "ValidationException",
    message: /ValidTo must be/i,
    row: row("ERR_EXPIRY_INVALID", "KMS does not take this time of expiry"),
  },
  {
    name: "Error",
    message: /^Bad response: \d+$/,
    row: row(
      "ERR_KMS_UNREACHABLE",
      "the proxy refused the connection",
      "check HTTPS_PROXY, its user and password, and NO_PROXY",
    ),
  },
  { name: "Error", message: /^Proxy timeout$/, row: row("ERR_KMS_UNREACHABLE", "the proxy did not answer in time") },
]
