/** Where the state is kept, where that is not the state directory: a PostgreSQL database. */
export interface PostgresSettings {
  /** `postgres://USER@HOST:PORT/DATABASE`, or with `?host=/FOLDER` for a socket; never with a password in it. */
  readonly url: string
  /** Path of the file that has the password, its first line. */
  readonly passwordFile?: string | undefined
  readonly tls?: PostgresTls | undefined
}

/** TLS to the database. Its name is verified always; these say by which authorities, and as whom. */
export interface PostgresTls {
  /** Path of certificates, PEM, of the authorities; Node.js' own without. */
  readonly caFile?: string | undefined
  /** Paths of the client's certificate and private key, PEM. */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}
