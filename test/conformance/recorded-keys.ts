import { randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import type { KeySpec, KeyUsage } from "#src/core/key/key-spec.js"
import { createKey, importMaterial, makeMaterial } from "../support/local-kms-fixture.js"

/** A key that rows name, and what was imported into it last. */
export interface RecordedKey {
  readonly arn: string
  readonly keySpec: KeySpec
  readonly material: Buffer
  /** Key material ID of `material`; empty where the key spec has none. */
  readonly id: string
}

type Keys = Readonly<Record<string, RecordedKey>>

/** Those of a Region of China. */
export async function makeChineseKeys(client: KMS): Promise<Keys> {
  const empty = async (keySpec: KeySpec, more: object): Promise<RecordedKey> => {
    const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL", ...more })
    return { arn: KeyMetadata?.Arn ?? "", keySpec, material: Buffer.alloc(0), id: "" }
  }
  return {
    sm4: await empty("SYMMETRIC_DEFAULT", {}),
    // the fixture knows no SM2: nothing is imported by it
    sm2: await empty("ECC_NIST_P256", { KeySpec: "SM2", KeyUsage: "SIGN_VERIFY" }),
    "china rsa": await empty("RSA_2048", { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }),
  }
}

/** Makes the keys that rows name, at any endpoint. */
export async function makeRecordedKeys(client: KMS): Promise<Keys> {
  const key = async (keySpec: KeySpec, usage?: KeyUsage, options: { multiRegion?: boolean } = {}) => {
    const material = makeMaterial(keySpec)
    const arn =
      options.multiRegion === true
        ? ((await client.createKey({ Origin: "EXTERNAL", MultiRegion: true })).KeyMetadata?.Arn ?? "")
        : await createKey(client, keySpec, usage)
    const id = (await importMaterial(client, arn, material, { keySpec })) ?? ""
    return { arn, keySpec, material, id }
  }
  const staged = await key("SYMMETRIC_DEFAULT")
  const pending = randomBytes(32)
  const stagedId = await importMaterial(client, staged.arn, pending, { ImportType: "NEW_KEY_MATERIAL" })
  const disabled = await key("ECC_NIST_P256", "SIGN_VERIFY")
  await client.disableKey({ KeyId: disabled.arn })
  const doomed = await key("SYMMETRIC_DEFAULT")
  await client.scheduleKeyDeletion({ KeyId: doomed.arn, PendingWindowInDays: 7 })
  return {
    symmetric: await key("SYMMETRIC_DEFAULT"),
    hmac: await key("HMAC_256"),
    rsa: await key("RSA_2048", "ENCRYPT_DECRYPT"),
    ec: await key("ECC_NIST_P256", "SIGN_VERIFY"),
    p521: await key("ECC_NIST_P521", "SIGN_VERIFY"),
    agreement: await key("ECC_NIST_P256", "KEY_AGREEMENT"),
    ed25519: await key("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    multi: await key("SYMMETRIC_DEFAULT", undefined, { multiRegion: true }),
    empty: { arn: await createKey(client), keySpec: "SYMMETRIC_DEFAULT", material: randomBytes(32), id: "" },
    staged: { ...staged, material: pending, id: stagedId ?? "" },
    disabled,
    doomed,
  }
}
