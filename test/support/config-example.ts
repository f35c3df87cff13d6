/** The README's example: every part of the file once. */
export const EXAMPLE = `version: 1
id: byok-prod                                        # owner tag on every KMS key and label
tokens:
  primary:
    uri: "pkcs11:token=byok?module-path=/usr/lib/softhsm/libsofthsm2.so"
    pin: { file: /run/credentials/keyferry/pin }     # or fd, env, exec, prompt
targets:
  prod-eu: { region: eu-west-3, roleArn: "arn:aws:iam::111122223333:role/byok" }
defaults: { token: primary, custody: sealed, wrappingKeySpec: RSA_4096, expiresIn: 90d, renewBefore: 30d }
policy: { minimumHash: SHA-1, allowCustody: [sealed, token] }
keys:
  payments:
    keySpec: SYMMETRIC_DEFAULT
    alias: alias/payments
    targets: [prod-eu]
    rotateEvery: 365d
  signer:
    keySpec: ECC_NIST_P384
    keyUsage: SIGN_VERIFY
    targets: [prod-eu]
    expiresIn: never
`
