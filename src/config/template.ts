import { DEFAULT_EXPIRES_IN, DEFAULT_WRAPPING_KEY_SPEC } from "../core/manifest/key-settings.js"

/** What a commented configuration file is made of. */
export interface TemplateFacts {
  /** Family of the token profile. */
  readonly profile: string
  readonly title: string
  readonly notes: readonly string[]
  readonly modulePath: string
  /** Null where the module wants none. */
  readonly libraryParameters: string | null
  readonly label: string
  readonly region: string
}

/** A first configuration file, with what each setting means; it passes `config check` as it stands. */
export function template(facts: TemplateFacts): string {
  const { profile, title, notes, modulePath, libraryParameters, label, region } = facts
  return `# keyferry configuration for ${title}
# check: keyferry config check --config FILE     every setting: keyferry config schema, docs/configuration.md
version: 1

# owner tag on every KMS key, and part of every label in the token: keep it for the life of the keys
id: keyferry

tokens:
${notes.map((note) => `  # ${note}\n`).join("")}  primary:
    # RFC 7512; a slot number may change, so the token is chosen by its label (or serial=)
    uri: ${JSON.stringify(`pkcs11:token=${encodeURIComponent(label)}?module-path=${encodeURI(modulePath)}`)}
    # where the PIN comes from, never the PIN: file (mode 0600, of the user that runs keyferry), fd, env, exec or prompt;
    # without this line it is the credential \`pin\` of a service of systemd, and asked for on a terminal
    pin: { file: /etc/keyferry/pin }
${libraryParameters === null ? "" : `    libraryParameters: ${JSON.stringify(libraryParameters)}\n`}    # chosen by what the token says of itself unless it is named
    # profile: ${profile}
    # sessions: 4
    # callTimeout: 2m    # a call of the library that takes longer ends the run; default: any time

targets:
  main:
    region: ${region}
    # roleArn: "arn:aws:iam::111122223333:role/byok"
    # profile: byok                       # AWS profile; without either, what the AWS CLI would take
    # fips: true
    # proxy: http://proxy.example:3128    # default: HTTPS_PROXY and NO_PROXY
    # quotas: { GetParametersForImport: 1, ImportKeyMaterial: 15 }    # a second, as AWS grants them to the account

# for every key that does not say otherwise
defaults:
  custody: sealed             # or token, locked, session; keyferry token probe shows which this token honours
  wrappingAlgorithm: auto     # the strongest that KMS takes and the token has proven
  wrappingKeySpec: ${DEFAULT_WRAPPING_KEY_SPEC}
  expiresIn: ${DEFAULT_EXPIRES_IN}              # under 365d, or never
  renewBefore: 33%            # of its life, or a duration such as 30d
  renewSpread: 10%            # keys come due over so long before that: of the time from import to it, or a duration

policy:
  minimumHash: SHA-1          # safe in OAEP; SHA-256 refuses what uses SHA-1
  allowCustody: [sealed, token]

keys:
  payments:
    keySpec: SYMMETRIC_DEFAULT
    alias: alias/payments
    # rotateEvery: 365d
    # tags: { team: payments }
  # signer:
  #   keySpec: ECC_NIST_P384
  #   keyUsage: SIGN_VERIFY
  #   multiRegion: { replicas: [eu-central-1] }

# keyferry agent: docs/agent.md
agent:
  schedule: "0 3 * * *"       # cron, five fields; what is due is imported again
  timeZone: UTC
  allow: [rewrap]             # and provision, rotate, correct, recover, where it may do them by itself
  listen: "127.0.0.1:9464"    # dashboard at http://127.0.0.1:9464/, metrics, health
  # notify: [{ exec: "mail -s keyferry keys@example.com" }]
  # metricsFile: /var/lib/prometheus/node-exporter/keyferry.prom
`
}
