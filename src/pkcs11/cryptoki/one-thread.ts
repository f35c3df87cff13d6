import type { PKCS11 } from "pkcs11js"

/**
 * Keeps every call in the thread that runs JavaScript, for a module that was initialised without locking: calls then
 * come one at a time, whatever sessions and tokens of the module they are for. The process waits while one runs.
 */
export function keepInOneThread(lib: PKCS11): void {
  Object.assign(lib, {
    C_GenerateKeyAsync: inThisThread(lib.C_GenerateKey.bind(lib)),
    C_GenerateKeyPairAsync: inThisThread(lib.C_GenerateKeyPair.bind(lib)),
    C_WrapKeyAsync: inThisThread(lib.C_WrapKey.bind(lib)),
    C_UnwrapKeyAsync: inThisThread(lib.C_UnwrapKey.bind(lib)),
  })
}

function inThisThread<Args extends unknown[], Answer>(call: (...args: Args) => Answer) {
  return (...args: Args): Promise<Answer> => new Promise((resolve) => resolve(call(...args)))
}
