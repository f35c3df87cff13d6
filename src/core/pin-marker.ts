/** The note that a token refused a PIN: never the PIN, and of its source only what tells whether it changed. */
export interface PinMarker {
  readonly tokenSerial: string
  /** `sha256:…` of the source as it was given: a command may hold what nobody should read. */
  readonly sourceDigest: string
  /** Modification time of a PIN file, in nanoseconds; null for other sources. */
  readonly modifiedNs: string | null
  readonly refusedAt: string
}

/** Where refused PINs are remembered from one run to the next (invariant I6), one marker a token. */
export interface PinMarkers {
  get(tokenSerial: string): Promise<PinMarker | undefined>
  put(marker: PinMarker): Promise<void>
  remove(tokenSerial: string): Promise<void>
}
