import type { KeyAttributes } from "#src/core/key/key-attributes.js"
import type { SealedMaterial } from "#src/core/records/sealed-material.js"
import { TOKEN_KEY_ATTRIBUTES } from "#test/support/key-attributes.js"

const attributes: KeyAttributes = { ...TOKEN_KEY_ATTRIBUTES, token: false }
const token = {
  label: "keyferry",
  serial: "00ff",
  manufacturer: "SoftHSM project",
  model: "SoftHSM v2",
  firmwareVersion: "2.6",
  library: "SoftHSM",
}
/** Sealed material of a name, as no token has made it. */
export const sealedMaterial = (name: string, id: string, generation = 0): SealedMaterial => ({
  owner: "keyferry",
  name,
  generation,
  id,
  label: `keyferry/keyferry/${name}/${generation}`,
  keySpec: "SYMMETRIC_DEFAULT",
  mechanism: "CKM_AES_KEY_WRAP_KWP",
  token,
  unenforced: null,
  ciphertext: Uint8Array.from(Buffer.from("0011223344556677".repeat(5), "hex")),
  custodyKey: { id: "aa55", label: "keyferry/custody/keyferry/1", kcv: "010203" },
  sealedAt: "2026-03-01T12:00:00.000Z",
  provenance: {
    origin: "generated",
    at: "2026-03-01T12:00:00.000Z",
    attributes,
    kcv: "abcdef",
    publicKey: Uint8Array.of(1, 2, 3),
  },
})
