import { chmodSync, chownSync, cpSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "#test/support/free-port.js"
import { openssl, type OpenSsl } from "#test/support/openssl.js"
import { type PostgresServer, startPostgres } from "#test/support/postgres.js"

/** A PostgreSQL with TLS on addresses of this machine, of which 127.0.0.2 and 127.0.0.3 count as other hosts. */
export interface TlsServer extends AsyncDisposable {
  readonly postgres: PostgresServer
  readonly port: number
  /** Paths of certificates and keys, PEM. The server's certificate is of 127.0.0.2 and localhost. */
  readonly caFile: string
  readonly otherCaFile: string
  readonly serverCertificate: { readonly cert: Buffer; readonly key: Buffer }
  /** Of the role `certified`. */
  readonly client: { readonly certFile: string; readonly keyFile: string }
  /** Who is let in how: lines of pg_hba.conf after the superuser's own. */
  admit(lines: readonly string[]): void
}

/** @param addresses further ones of this machine, which the certificate names as well */
export async function startTlsPostgres(
  settings: readonly string[] = [],
  addresses: readonly string[] = [],
): Promise<TlsServer> {
  const tool = openssl()
  const authority = (name: string): void => {
    const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${name}`]
    tool.run(...made, "-keyout", `${name}.key`, "-out", `${name}.pem`)
  }
  authority("ca")
  authority("other-ca")
  certificate(
    tool,
    "server",
    `subjectAltName=${["IP:127.0.0.2", "DNS:localhost", ...addresses.map((address) => `IP:${address}`)].join(",")}`,
  )
  certificate(tool, "certified", "extendedKeyUsage=clientAuth")
  const port = await freePort()
  const postgres = await startPostgres(
    [`listen_addresses = '${["127.0.0.1", "127.0.0.2", "127.0.0.3", ...addresses].join(",")}'`, ...settings],
    port,
  )
  const data = join(postgres.folder, "data")
  const { uid, gid } = statSync(data)
  for (const name of ["server.pem", "server.key", "ca.pem"]) {
    cpSync(join(tool.folder, name), join(data, name))
    chownSync(join(data, name), uid, gid)
    chmodSync(join(data, name), 0o600)
  }
  const on = ["ssl = on", "ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl_ca_file = 'ca.pem'"]
  writeFileSync(join(data, "postgresql.auto.conf"), `${on.join("\n")}\n`)
  await postgres.stop("fast")
  await postgres.start()
  return {
    postgres,
    port,
    caFile: join(tool.folder, "ca.pem"),
    otherCaFile: join(tool.folder, "other-ca.pem"),
    serverCertificate: { cert: tool.read("server.pem"), key: tool.read("server.key") },
    client: { certFile: join(tool.folder, "certified.pem"), keyFile: join(tool.folder, "certified.key") },
    admit(lines) {
      writeFileSync(join(data, "pg_hba.conf"), ["local all postgres trust", ...lines, ""].join("\n"))
      postgres.sql("postgres", "SELECT pg_reload_conf()")
    },
    async [Symbol.asyncDispose]() {
      await postgres[Symbol.asyncDispose]()
      tool[Symbol.dispose]()
    },
  }
}

function certificate(tool: OpenSsl, name: string, extension: string): void {
  tool.run(
    "req",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    `${name}.key`,
    "-out",
    "asked.csr",
  )
  tool.write("extension", Buffer.from(`${extension}\n`))
  const issuer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
  tool.run(
    ...["x509", "-req", "-in", "asked.csr", ...issuer, "-days", "2"],
    ...["-extfile", "extension", "-out", `${name}.pem`],
  )
}
