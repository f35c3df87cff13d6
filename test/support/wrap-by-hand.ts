import { readFileSync, writeFileSync } from "node:fs"
import pkcs11js from "pkcs11js"

/**
 * A program as people write it to carry a key by hand, in a process of its own: MODULE LABEL PINFILE KEYID PUBLICKEYID OUT.
 * Wraps a key of the token under a public key of the token, by OAEP with SHA-1, and destroys the public key.
 */
const [modulePath = "", label = "", pinFile = "", keyId = "", publicKeyId = "", out = ""] = process.argv.slice(2)
const module = new pkcs11js.PKCS11()
module.load(modulePath)
module.C_Initialize()
const slot = module.C_GetSlotList(true).find((candidate) => module.C_GetTokenInfo(candidate).label.trim() === label)
if (slot === undefined) throw new Error(`no token ${label}`)
const session = module.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION)
module.C_Login(session, pkcs11js.CKU_USER, readFileSync(pinFile, "utf8").trim())

const objectOf = (id: string): Buffer => {
  module.C_FindObjectsInit(session, [{ type: pkcs11js.CKA_ID, value: Buffer.from(id, "hex") }])
  const [handle] = module.C_FindObjects(session, 1)
  module.C_FindObjectsFinal(session)
  if (handle === undefined) throw new Error(`no object ${id}`)
  return handle
}

const publicKey = objectOf(publicKeyId)
const parameter = {
  type: pkcs11js.CK_PARAMS_RSA_OAEP,
  hashAlg: pkcs11js.CKM_SHA_1,
  mgf: pkcs11js.CKG_MGF1_SHA1,
  source: 1,
}
const mechanism = { mechanism: pkcs11js.CKM_RSA_PKCS_OAEP, parameter }
writeFileSync(out, module.C_WrapKey(session, mechanism, publicKey, objectOf(keyId), Buffer.alloc(1024)))
module.C_DestroyObject(session, publicKey)
module.C_Finalize()
