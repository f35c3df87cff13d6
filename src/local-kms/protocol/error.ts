/** HTTP status of the errors that are not 400, after the `httpStatusCode` of the KMS service model. */
const STATUS: Readonly<Record<string, number>> = {
  DependencyTimeoutException: 503,
  DryRunOperationException: 412,
  KMSInternalException: 500,
  KeyUnavailableException: 500,
  ServiceUnavailableException: 503,
}

/** An error that goes onto the wire as `{"__type": name, "message": message}`; no message, no member. */
export class KmsError extends Error {
  override readonly name: string
  readonly status: number

  constructor(name: string, message = "", status = STATUS[name] ?? 400) {
    super(message)
    this.name = name
    this.status = status
  }
}
