/** Whose PIN it is. NSS databases all have one serial and label: what tells them apart is where the library looks. */
export interface PinToken {
  readonly serial: string
  readonly label: string
  readonly manufacturer: string
  /** What C_Initialize was given; null for nothing. */
  readonly libraryParameters: string | null
}

/** The note that a token refused a PIN: never the PIN, and of its source only what tells whether it changed. */
export interface PinMarker {
  readonly token: PinToken
  /** `sha256:…` of the source as it was given: a command may hold what nobody should read. */
  readonly sourceDigest: string
  /** Modification time of a PIN file, in nanoseconds; null for other sources. */
  readonly modifiedNs: string | null
  readonly refusedAt: string
}

/** Where refused PINs are remembered from one run to the next (invariant I6), one marker a token. */
export interface PinMarkers {
  get(token: PinToken): Promise<PinMarker | undefined>
  put(marker: PinMarker): Promise<void>
  remove(token: PinToken): Promise<void>
}
