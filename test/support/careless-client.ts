import { fileURLToPath } from "node:url"
import pkcs11js from "pkcs11js"

/** Path of this file, to be run by node with the token's environment and CLIENT_MODULE, CLIENT_LABEL, CLIENT_PIN. */
export const CARELESS_CLIENT = fileURLToPath(import.meta.url)

const CKM_AES_KEY_WRAP_PAD = 0x210a
const IV = Buffer.alloc(16)

/** A client of the token that breaks the rules one after the other, on keys of its own. */
function main(modulePath: string, label: string, pin: string): void {
  const lib = new pkcs11js.PKCS11()
  lib.load(modulePath)
  lib.C_Initialize()
  const slot = lib.C_GetSlotList(true).find((one) => lib.C_GetTokenInfo(one).label.trim() === label)
  if (!slot) throw new Error(`no token ${label}`)
  const session = lib.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION)
  lib.C_Login(session, pkcs11js.CKU_USER, pin)
  try {
    lib.C_Login(session, pkcs11js.CKU_USER, pin)
  } catch {
    // CKR_USER_ALREADY_LOGGED_IN: it was presented all the same
  }

  // readable, with every usage left to the token
  const readable = lib.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
    { type: pkcs11js.CKA_TOKEN, value: false },
    { type: pkcs11js.CKA_SENSITIVE, value: false },
    { type: pkcs11js.CKA_EXTRACTABLE, value: true },
    { type: pkcs11js.CKA_VALUE_LEN, value: 32 },
  ])
  lib.C_GetAttributeValue(session, readable, [{ type: pkcs11js.CKA_VALUE }])
  lib.C_SetAttributeValue(session, readable, [{ type: pkcs11js.CKA_LABEL, value: "renamed" }])

  const cbc = { mechanism: pkcs11js.CKM_AES_CBC, parameter: IV }
  lib.C_EncryptInit(session, cbc, readable)
  const ciphertext = lib.C_Encrypt(session, Buffer.alloc(32), Buffer.alloc(32))
  lib.C_DecryptInit(session, cbc, readable)
  lib.C_Decrypt(session, ciphertext, Buffer.alloc(32))

  const kwp = { mechanism: CKM_AES_KEY_WRAP_PAD }
  const wrapped = lib.C_WrapKey(session, kwp, readable, readable, Buffer.alloc(256))
  lib.C_UnwrapKey(session, kwp, readable, wrapped, [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
    { type: pkcs11js.CKA_TOKEN, value: false },
  ])
  lib.C_CreateObject(session, [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
    { type: pkcs11js.CKA_TOKEN, value: false },
    { type: pkcs11js.CKA_VALUE, value: Buffer.alloc(32, 1) },
  ])
  lib.C_Finalize()
}

if (process.argv[1] === CARELESS_CLIENT) {
  const { CLIENT_MODULE = "", CLIENT_LABEL = "", CLIENT_PIN = "" } = process.env
  main(CLIENT_MODULE, CLIENT_LABEL, CLIENT_PIN)
}
