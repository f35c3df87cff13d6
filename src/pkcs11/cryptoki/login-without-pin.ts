import type { Handle } from "pkcs11js"
import { ckrError } from "./errors.js"

/** C_Login's place among the functions of CK_FUNCTION_LIST, which begins with a version (PKCS #11 v3.1 pkcs11f.h). */
const C_LOGIN = 18
const POINTER = 8

/**
 * C_Login with a NULL PIN, on a token that asks for the PIN by itself: pkcs11js can pass none (2.1.7). The module is the
 * one that the process has loaded and initialised. The call waits for whoever types: on a thread of its own where the
 * module `locks`.
 *
 * @throws ERR_TOKEN_* as {@link ckrError}
 */
export async function loginWithoutPin(
  { path, locks }: { readonly path: string; readonly locks: boolean },
  session: Handle,
  userType: number,
): Promise<void> {
  const { default: koffi } = await import("koffi")
  const library = koffi.load(path)
  const list: unknown[] = [null]
  const getFunctionList = library.func("C_GetFunctionList", "unsigned long", [koffi.out("void **")]) as (
    list: unknown[],
  ) => number
  const listed = getFunctionList(list)
  if (listed !== 0) throw ckrError("C_GetFunctionList", listed)
  const pointer: unknown = koffi.decode(list[0], POINTER * (1 + C_LOGIN), "void *")
  const prototype = koffi.proto("unsigned long (unsigned long, unsigned long, void *, unsigned long)")
  const login = koffi.decode(pointer, prototype) as CLogin
  const user = [session.readBigUInt64LE(), userType, null, 0] as const
  const answer = locks ? await onThread(login, user) : login(...user)
  if (answer !== 0) throw ckrError("C_Login", answer)
}

type LoginArguments = readonly [session: bigint, userType: number, pin: null, length: number]

interface CLogin {
  (...user: LoginArguments): number
  async(...call: [...user: LoginArguments, done: (error: Error | null, returned: number) => void]): void
}

function onThread(login: CLogin, user: LoginArguments): Promise<number> {
  return new Promise((resolve, reject) => {
    login.async(...user, (error, returned) => {
      if (error === null) resolve(returned)
      else reject(error)
    })
  })
}
